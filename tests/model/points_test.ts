/**
 * The 43 points that are known of the reference, an early `client.rs` of a Rust
 * model client: the tests that hold each, and where we differ from it, and why.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";

interface Point {
  readonly point: number;
  /** The reference's behaviour, in a few words. */
  readonly what: string;
  /** A file of tests, and the name of a test or of its row. */
  readonly tests: readonly (readonly [file: string, test: string])[];
  /** The difference of this library, and the reason. */
  readonly differs?: string;
}

const POINTS: readonly Point[] = [
  {
    point: 1,
    what: "a client without timeouts, which follows ten redirects",
    tests: [
      ["retry_test.ts", "follows ten redirects, and not for ever"],
      ["retry_test.ts", "asks again when the headers take too long"],
    ],
    differs:
      "the headers have a timeout (as long as the stream may be idle), as a request that hangs is not told from one that works; only 307 and 308 to the same host are followed, so that the key goes nowhere else and a POST stays one",
  },
  {
    point: 2,
    what: "stream() returns after the headers; a bounded channel of 16 events",
    tests: [
      ["response_stream_test.ts", "reads nothing while events are to be taken"],
      ["retry_test.ts", "is aborted while it waits ${when}"],
    ],
    differs:
      "there is no channel: nothing is read ahead of the consumer, but for what came in the same chunk",
  },
  {
    point: 3,
    what: "Chat is always aggregated",
    tests: [
      ["wires/chat/decoder_test.ts", "tells items only, without deltas"],
      ["aggregate_test.ts", "gives whole items once, in their own order"],
    ],
    differs:
      "both APIs give deltas unless the caller says deltas: false, which is the reference's behaviour; aggregate() is there for who has deltas and wants items",
  },
  {
    point: 4,
    what: "a fixture in place of the network, without a key",
    tests: [
      [
        "environment_test.ts",
        "streams from RIVULET_SSE_FIXTURE, without a key",
      ],
      ["environment_test.ts", "streams from RIVULET_SSE_FIXTURE by Chat too"],
      ["environment_test.ts", "reads RIVULET_SSE_FIXTURE every time"],
    ],
    differs:
      "the variable is ours, read whenever a response is asked for, and holds for Chat too; it is also an option; nothing is logged",
  },
  {
    point: 5,
    what: "the body of Responses, and the order of its fields",
    tests: [
      [
        "wires/responses/request_test.ts",
        "keeps the reference's order, and puts the rest after it",
      ],
    ],
    differs:
      "what nobody has asked for is left out, rather than empty, null or the reference's choice: instructions, reasoning, tools, tool_choice, parallel_tool_calls; encrypted reasoning is asked for where nothing is stored, as it has to go back",
  },
  {
    point: 6,
    what: "all instructions joined by a newline",
    tests: [
      [
        "wires/responses/request_test.ts",
        "joins instructions, and leaves them out if there are none",
      ],
    ],
    differs: "none of them is ours: the reference's are one product's prompt",
  },
  {
    point: 7,
    what: "reasoning for models whose names begin with o or codex",
    tests: [
      [
        "wires/responses/request_test.ts",
        "asks for reasoning as the caller does",
      ],
    ],
    differs: "the caller says whether, as names of models change",
  },
  {
    point: 8,
    what: "a shell tool, by the model's name, and the tools of MCP",
    tests: [
      [
        "wires/responses/request_test.ts",
        "sends tools and items as they are given",
      ],
    ],
    differs: "the tools are the caller's: none is ours",
  },
  {
    point: 9,
    what: "base URL without its last slashes, and /responses",
    tests: [
      ["retry_test.ts", "puts the provider's query into the URL"],
      ["wires/responses/request_test.ts", "responsesPath is the reference's"],
    ],
    differs: "a query is kept and added to, for Azure; nothing is logged",
  },
  {
    point: 10,
    what: "Authorization, OpenAI-Beta, Accept, Content-Type",
    tests: [
      ["retry_test.ts", "sends the reference's headers"],
      ["retry_test.ts", "sends the provider's headers over its own"],
    ],
  },
  {
    point: 11,
    what: "the key is read on every attempt; a blank one is an error",
    tests: [
      ["retry_test.ts", "reads the key from the environment on every attempt"],
      ["retry_test.ts", "asks a function for the key on every attempt"],
      [
        "environment_test.ts",
        "does not ask where the key is ${JSON.stringify(value)}",
      ],
      ["retry_test.ts", "sends no key where there is none"],
    ],
    differs:
      "a provider without an envKey is asked without a key on Responses too, as on Chat: servers of one's own have none",
  },
  {
    point: 12,
    what: "any 2xx is a success; the content type is not looked at",
    tests: [
      ["retry_test.ts", "asks once where another 2xx brings the stream"],
      [
        "retry_test.ts",
        "does not ask again after an answer that is no stream (${index})",
      ],
    ],
    differs:
      "an answer that is no event stream is an error that shows it: else it would end as truncated, and its reason be lost",
  },
  {
    point: 13,
    what: "other statuses than 429 and 5xx are errors at once",
    tests: [
      ["retry_test.ts", "does not ask again after status ${status}"],
      [
        "retry_test.ts",
        "asks again after status ${status} where x-should-retry says so",
      ],
    ],
    differs:
      "408, 409 and 425 are asked again; x-should-retry has its way; 307 and 308 are followed to the same host; the body is bounded",
  },
  {
    point: 14,
    what: "429 and 5xx: five requests at most, then RetryLimit",
    tests: [
      ["retry_test.ts", "makes five requests at most"],
      ["retry_test.ts", "asks again after status ${status}"],
    ],
    differs: "the body of the last answer is kept: it says why",
  },
  {
    point: 15,
    what: "Retry-After in whole seconds, without a limit",
    tests: [
      ["retry_test.ts", "waits ${delay} ms after ${JSON.stringify(headers)}"],
      [
        "retry_test.ts",
        "does not wait longer than maxRetryAfter, and says the wish",
      ],
      ["retry_test.ts", "as long as the provider wishes"],
    ],
    differs:
      "fractions, dates and retry-after-ms are read too; a wait that is too long fails at once; every wait can be aborted",
  },
  {
    point: 16,
    what: "a transport error is thrown after five requests",
    tests: [
      [
        "retry_test.ts",
        "gives up when there is no connection to be had",
      ],
      ["retry_test.ts", "says why there was no connection"],
    ],
    differs:
      "it is the cause of a ConnectionFailedError: runtimes have no error in common",
  },
  {
    point: 17,
    what: "a backoff of 200 ms, times 2, times 0.9 to 1.1",
    tests: [
      ["retry_test.ts", "doubles its waits"],
      ["retry_test.ts", "takes a tenth off where chance is least"],
      ["retry_test.ts", "adds less than a tenth where chance is greatest"],
      ["retry_test.ts", "waits no longer than the cap"],
    ],
    differs: "2 and not the 1.3 of some copies; 30 s at most",
  },
  {
    point: 18,
    what: "settings in the environment",
    tests: [
      [
        "environment_test.ts",
        "takes OPENAI_REQUEST_MAX_RETRIES between the option and the default",
      ],
      [
        "environment_test.ts",
        "takes OPENAI_STREAM_MAX_RETRIES between the option and the default",
      ],
      [
        "environment_test.ts",
        "takes OPENAI_STREAM_IDLE_TIMEOUT_MS between the option and the default",
      ],
      ["environment_test.ts", "asks where OPENAI_BASE_URL says"],
      ["environment_test.ts", "reads its settings when it asks, every time"],
    ],
    differs:
      "read on every call; five retries of a stream rather than ten, as later versions have; OPENAI_BASE_URL, as everybody calls it, in place of OPENAI_API_BASE; no OPENAI_TIMEOUT_MS, which was not used, and no default model",
  },
  {
    point: 19,
    what: "the loop above retries everything, ten times the five requests",
    tests: [
      [
        "stream_retry_test.ts",
        "never makes more requests than the larger limit allows",
      ],
      ["stream_retry_test.ts", "counts streams and requests together"],
      [
        "stream_retry_test.ts",
        "does not ask again after the first event (${end})",
      ],
    ],
    differs:
      "one budget for both; what is refused is not asked again; after the first event only where the caller allows it",
  },
  {
    point: 20,
    what: "framing: line ends, comments, bytes; an event cut off is dropped",
    tests: [
      [
        "reference_cases_test.ts",
        "reads a stream with ${name}, whole and byte by byte",
      ],
      [
        "reference_cases_test.ts",
        "drops a last event that is cut within its data",
      ],
      [
        "recordings_test.ts",
        "every recording gives what a fold of its JSON gives, whole and byte by byte",
      ],
      ["../sse/cases.ts", "replaces what is not UTF-8"],
    ],
    differs:
      "a BOM is no panic, bytes that are not UTF-8 stall nothing, time grows with the length only, and an event is not cut off that only lacks its blank line",
  },
  {
    point: 21,
    what: "only data is used; what is not JSON, or has no type, is passed over",
    tests: [
      [
        "wires/responses/decoder_test.ts",
        "goes by the type in the data, and by the name only without one",
      ],
      ["wires/responses/decoder_test.ts", "passes over pings and [DONE]"],
      ["wires/responses/decoder_test.ts", "passes on data that is no object"],
    ],
    differs:
      "what is not known is passed on as other; the name counts where the data has no type",
  },
  {
    point: 22,
    what: "300 s without an event are the end; comments do not count",
    tests: [
      ["stream_retry_test.ts", "says which clock has run out"],
      [
        "stream_retry_test.ts",
        "takes comments for life where eventTimeout is Infinity",
      ],
      ["endings.ts", "idle with comments, which are no events"],
    ],
    differs:
      "bytes have a clock of their own, so that comments can count; the text goes on with what was missing",
  },
  {
    point: 23,
    what: "an error of the network ends the stream, in its words",
    tests: [
      ["endings.ts", "reset mid-body"],
      [
        "reference_cases_test.ts",
        "reads bytes by Chat that are not UTF-8, and goes on",
      ],
    ],
    differs:
      "the words are our own, and the runtime's error the cause; there is no UTF-8 error",
  },
  {
    point: 24,
    what: "output_item.done is sent at once, and dropped if it is odd",
    tests: [
      ["wires/responses/decoder_test.ts", "reads ${wire.type} (row ${index})"],
      [
        "wires/responses/decoder_test.ts",
        "passes on what is not in its shape as it came",
      ],
      [
        "response_stream_test.ts",
        "closes the connection when a loop is left",
      ],
    ],
    differs:
      "what is odd is passed on as other; a call that was cut off is not done",
  },
  {
    point: 25,
    what: "response.completed: id and usage, without its output",
    tests: [
      [
        "reference_cases_test.ts",
        "does not forward the output that response.completed repeats",
      ],
      [
        "wires/responses/decoder_test.ts",
        "completes without a response or with an odd one",
      ],
      ["wires/responses/decoder_test.ts", "takes nothing in after the end"],
    ],
    differs:
      "it is emitted at once, the first one counts, and one without a response is one too",
  },
  {
    point: 26,
    what: "completed is told when the body ends",
    tests: [
      ["endings.ts", "completed, and the socket held open"],
      ["endings.ts", "completed, then reset"],
      [
        "wires/responses/decoder_test.ts",
        "ends at once with response.completed",
      ],
    ],
    differs:
      "at once, and the connection is closed: what the network does later can't change it",
  },
  {
    point: 27,
    what: "a body that ends without it is an error",
    tests: [
      ["wires/responses/decoder_test.ts", "says that a stream was cut off"],
      ["endings.ts", "EOF with nothing that says how it ended (truncated)"],
    ],
  },
  {
    point: 28,
    what: "usage: all of it or an error",
    tests: [
      ["wires/responses/decoder_test.ts", "completes with odd usage"],
      ["wires/usage_test.ts", "an odd total"],
    ],
    differs:
      "usage that is odd is no usage, and no error: the response is whole without it",
  },
  {
    point: 29,
    what: "failed, incomplete and error are ignored",
    tests: [
      ["wires/responses/decoder_test.ts", "passes on what it has no event for"],
      ["wires/responses/decoder_test.ts", "fails with ${wire} of ${way}"],
      ["wires/responses/decoder_test.ts", "says why a response is incomplete"],
    ],
    differs:
      "each is the ending that it says it is; all other events pass through",
  },
  {
    point: 30,
    what: "a consumer that leaves is noticed at the next item",
    tests: [
      ["response_stream_test.ts", "closes the connection when a loop is left"],
      [
        "response_stream_test.ts",
        "rejects calls that wait, and later ones, with its reason",
      ],
    ],
    differs: "at once: what nobody reads is paid for",
  },
  {
    point: 31,
    what: "items in their order, and one terminal at most",
    tests: [
      [
        "response_stream_test.ts",
        "goes on where an iteration was, and ends once",
      ],
      ["wires/responses/decoder_test.ts", "takes nothing in after the end"],
      ["endings_test.ts", "ends as it should: ${wire}: ${name}"],
    ],
    differs: "exactly one: without it the stream throws",
  },
  {
    point: 32,
    what: "a fixture has an event on each line",
    tests: [
      ["fixture_test.ts", "one object per line"],
      [
        "fixture_test.ts",
        "one data line per event, however it is named",
      ],
      ["fixture_test.ts", "events with names"],
      ["fixture_test.ts", "says so if the file ${name}"],
    ],
    differs:
      "raw streams are read as what they are, so that recordings can be played; an empty file is an error",
  },
  {
    point: 33,
    what: "items as messages of Chat",
    tests: [
      ["wires/chat/request_test.ts", "joins the text of a message (point 33)"],
      [
        "wires/chat/request_test.ts",
        "keeps images, and parts that it does not know",
      ],
      [
        "wires/chat/request_test.ts",
        "puts what the model said in one go into one message",
      ],
      [
        "wires/chat/request_test.ts",
        "sends local_shell_call as the reference does (point 33)",
      ],
      [
        "wires/chat/request_test.ts",
        "refuses ${path} by name",
      ],
    ],
    differs:
      "what Chat has no place for is refused and not left out; images are kept; calls that belong together are one message, since OpenAI refuses others",
  },
  {
    point: 34,
    what: "the body of Chat: functions only, and no stream_options",
    tests: [
      [
        "wires/chat/request_test.ts",
        "has the fields of the reference, in order, and asks for the usage (point 34)",
      ],
      [
        "retry_test.ts",
        "does without usage after ${status}: ${refusal}",
      ],
      ["retry_test.ts", "sends the reference's headers"],
    ],
    differs:
      "usage is asked for, and not when the provider refuses to tell it; custom tools are sent, and other tools are refused",
  },
  {
    point: 35,
    what: "the end of a body is the end of a Chat",
    tests: [
      ["endings.ts", "[DONE] without finish_reason"],
      ["endings.ts", "finish_reason without [DONE]"],
      ["endings.ts", "EOF with nothing that says how it ended (truncated)"],
      [
        "reference_cases_test.ts",
        "passes on data by Chat that is not JSON",
      ],
      [
        "wires/chat/decoder_test.ts",
        "passes on what it has no event for, once",
      ],
    ],
    differs:
      "not if nothing had said so: it is truncated; other choices and other data pass through",
  },
  {
    point: 36,
    what: "an item for each piece of text, also if it is empty",
    tests: [
      [
        "wires/chat/decoder_test.ts",
        "tells created, the item, its text, the usage, and the end",
      ],
      ["wires/chat/decoder_test.ts", "passes over what says nothing"],
    ],
    differs: "a delta for each, none for nothing, and one item for all",
  },
  {
    point: 37,
    what: "only the first call of a delta, and all of them in one",
    tests: [
      ["wires/chat/tool_calls_test.ts", "several calls in one delta (vLLM)"],
      ["wires/chat/tool_calls_test.ts", "pieces of two calls in turns"],
    ],
    differs: "calls are told apart, in every way that servers mark them",
  },
  {
    point: 38,
    what: "any finish_reason is the end, and a success",
    tests: [
      [
        "wires/chat/decoder_test.ts",
        "is open, ending after a finish_reason or an error, and ended after [DONE]",
      ],
      ["endings.ts", "usage in a last chunk with empty choices"],
      ["endings.ts", "finish_reason: length"],
      ["endings.ts", "error object mid-stream"],
      [
        "response_stream_test.ts",
        "waits two seconds in all for what follows the end",
      ],
    ],
    differs:
      "it is read on for the usage; each reason is what it says; an empty one is none; errors are errors",
  },
  {
    point: 39,
    what: "the aggregate: one message, after the calls",
    tests: [
      ["aggregate_test.ts", "gives whole items once, in their own order"],
      [
        "aggregate_test.ts",
        "gives each text once, whatever the end is",
      ],
    ],
    differs:
      "in their own order, and text that was cut off comes before the error",
  },
  {
    point: 40,
    what: "the items, and what becomes of unknown ones",
    tests: [
      ["item_test.ts", "gives back what came: the same object"],
      [
        "item_test.ts",
        "an item of any type is sent back as it came, whatever is in it",
      ],
      [
        "wires/responses/decoder_test.ts",
        "keeps unknown fields, parts and items in their order",
      ],
    ],
    differs: "nothing of an item is dropped, nor an item for what is in it",
  },
  {
    point: 41,
    what: "the providers",
    tests: [
      ["provider_test.ts", "providers are those of the reference"],
      ["provider_test.ts", "is where it is, and finds its key"],
    ],
  },
  {
    point: 42,
    what: "the texts of errors",
    tests: [
      ["retry_test.ts", "has the reference's words for its errors"],
    ],
    differs:
      "more follows where more is known: the body of the last answer, and which clock has run out",
  },
  {
    point: 43,
    what: "tests worth having too",
    tests: [
      [
        "reference_cases_test.ts",
        "retries a stream that ends before response.completed, at most eleven requests",
      ],
      ["reference_cases_test.ts", "sends the response that it goes on from"],
      ["reference_cases_test.ts", "streams text by Chat, without reasoning"],
      ["reference_cases_test.ts", "streams reasoning by Chat that is text"],
      [
        "reference_cases_test.ts",
        "streams reasoning by Chat that is an object",
      ],
      ["reference_cases_test.ts", "passes on by Chat what comes in a message"],
      ["reference_cases_test.ts", "streams reasoning by Chat before a call"],
      ["reference_cases_test.ts", "passes on data by Chat that is not JSON"],
      [
        "reference_cases_test.ts",
        "reads bytes by Chat that are not UTF-8, and goes on",
      ],
      [
        "permissions_test.ts",
        "streams from a fixture without access to the environment",
      ],
    ],
    differs:
      "a message in place of a delta passes through as other; bytes that are not UTF-8 are no error, as the standard has it",
  },
];

Deno.test("each of the 43 points is there once", () => {
  assertEquals(
    POINTS.map(({ point }) => point),
    Array.from({ length: 43 }, (_, index) => index + 1),
  );
});

for (const { point, what, tests, differs } of POINTS) {
  const how = differs === undefined ? "the same" : "not quite the same";
  Deno.test(`point ${point} is tested: ${what} (${how})`, async () => {
    assert(tests.length > 0);
    assert(differs !== "");
    for (const [file, test] of tests) {
      const url = new URL(`./${file}`, import.meta.url);
      const source = await Deno.readTextFile(url);
      // In a string: as the name of a test, or of a row of a table.
      assert(
        source.split("\n").some((line) =>
          /["`]/.test(line) && line.includes(test)
        ),
        `"${test}" is not in ${file}`,
      );
    }
  });
}
