// The chats of the examples with the library, in a real browser.
import {
  CHAT_SCENARIOS,
  standChat,
} from "../../support/chat/chat_scenarios.ts";
import { plainSetup, reactSetup } from "../../support/chat/library_setups.ts";

standChat(reactSetup);

// The page without a framework has the transport of the other: it shows what that can.
standChat(plainSetup, CHAT_SCENARIOS.slice(0, 3));
