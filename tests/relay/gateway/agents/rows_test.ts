// The faults that agents and chats met at the gateway, row by row (H1 to H12),
// and the tests that show that each is mended.
import { assert, assertEquals } from "@std/assert";

/** A file of tests, and a part of the name of one in it. */
type Shown = readonly [file: string, name: string];

/** The request of each row, and the tests that show it. */
const ROWS: Readonly<Record<string, readonly Shown[]>> = {
  "H1: a cancel stops an agent, and is paid once": [
    [
      "relay/gateway/agents/cancelled_test.ts",
      "ends with a word of its format (H1)",
    ],
    [
      "relay/gateway/agents/cancelled_test.ts",
      "is refused for 5 s after a cancel (H1)",
    ],
    ["agents/agents.ts", "the provider is asked once (H1)"],
  ],
  "H2: names are completed, and refusals that stay say so": [
    [
      "relay/gateway/agents/names_test.ts",
      "another one for each run, and sorts by time (H2)",
    ],
    ["relay/gateway/agents/names_test.ts", "names the topics of its runs (H2)"],
    [
      "relay/gateway/sdk_problem_test.ts",
      "openai asks once for a topic that is taken",
    ],
    [
      "relay/gateway/sdk_problem_test.ts",
      "Anthropic's SDK asks once for a topic that is taken",
    ],
    ["relay/doors/websocket/prefix_test.ts", "and those that come (H2)"],
    ["relay/client/prefix_test.ts", "subscribe follows all topics of a prefix"],
    [
      "relay/doors/sse/prefix_test.ts",
      "has the topics that there are, and those that come",
    ],
  ],
  "H3: a publisher that dies leaves no topic open": [
    [
      "relay/doors/publish_end_test.ts",
      "H3: a publisher that dies within its body",
    ],
  ],
  "H4: a run ends with its caller, where a provider says so": [
    [
      "relay/gateway/agents/names_test.ts",
      "ends a run with its caller, and a caller may say otherwise (H4)",
    ],
  ],
  "H5: a stream without a last word is an error for its caller": [
    ["relay/gateway/whole_test.ts", "ends without a last word (H5)"],
    ["relay/gateway/clients_test.ts", "(H5)"],
  ],
  "H6: a follower learns that a restarted relay has lost its topic": [
    [
      "relay/renewal/wait_test.ts",
      "H6: a subscriber learns that a restarted relay has lost its topic",
    ],
  ],
  "H7: the origin of a relay is enough": [
    [
      "relay/client/connect_test.ts",
      "take the relay's origin for its door to any topic (H7)",
    ],
  ],
  "H8: who comes back behind the end gets the end alone": [
    [
      "relay/renewal/stay_test.ts",
      "A position at or behind the end of an epoch is answered with the end alone",
    ],
    [
      "relay/delivery/subscriber_test.ts",
      "Subscription after the end of an ended topic gets the end again",
    ],
  ],
  "H9: each client gets the base URL that it takes": [
    [
      "relay/commands/banner_test.ts",
      "the base URL that each client of a provider takes (H9)",
    ],
    [
      "relay/gateway/sdk_problem_test.ts",
      "A version that an SDK puts behind a base URL with one is recognised (H9)",
    ],
  ],
  "H10: no pattern of one tenant is good for another's topics": [
    ["relay/gateway/agents/names_test.ts", "stays one part of a name (H10)"],
    [
      "relay/chat/chat_token_test.ts",
      "A user's token reads and cancels the user's chats, and does nothing else",
    ],
  ],
  "H11: problems of the gateway are errors of SDKs": [
    ["relay/gateway/sdk_problem_test.ts", "and shows why (H2, H11)"],
  ],
  "H12: a publisher learns that its topic was cancelled while its body is silent":
    [
      [
        "relay/doors/publish_end_test.ts",
        "is answered while its body is silent (H12)",
      ],
      [
        "relay/chat/publish_chat_test.ts",
        "stops the generation of a topic that is cancelled, while it says nothing",
      ],
    ],
};

Deno.test("Each row of what agents and chats met has a test", async () => {
  assertEquals(
    Object.keys(ROWS).map((row) => row.split(":")[0]),
    Array.from({ length: 12 }, (_, index) => `H${index + 1}`),
  );
  for (const [row, shown] of Object.entries(ROWS)) {
    assert(shown.length > 0, row);
    for (const [file, name] of shown) {
      const url = new URL(`../../../${file}`, import.meta.url);
      const text = await Deno.readTextFile(url);
      // Names are templates here and there.
      assert(text.includes(name), `${row}: ${file} has no test '${name}'`);
    }
  }
});
