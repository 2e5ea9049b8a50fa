// A chat whose route knows of no relay, with --chat and the transport of the AI SDK, in a real
// browser.
import { standChat } from "../../support/chat/chat_scenarios.ts";
import { relayedSetup } from "../../support/chat/relayed_setup.ts";

standChat(relayedSetup);
