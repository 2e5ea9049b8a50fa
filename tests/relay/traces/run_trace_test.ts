// The span of a run: it is made where somebody traces, and costs nothing elsewhere.
import { assertEquals } from "@std/assert";
import { HeaderList } from "../../../relay/header_list.ts";
import { RunTrace } from "../../../relay/traces/run_trace.ts";
import { MadeSpans } from "../../support/observing/made_spans.ts";

/** A URL that counts how often it is read. */
class CountedUrl extends URL {
  count = 0;
  override toString(): string {
    this.count++;
    return super.toString();
  }
}

/** Makes a run with its span. */
function run(url: URL): void {
  const made = new RunTrace({
    peer: "provider",
    provider: "raw",
    url,
    path: "embeddings",
    method: "POST",
    headers: new HeaderList([["traceparent", "00-1-2-01"]]),
    content: undefined,
  });
  assertEquals(made.within(() => "answer"), "answer");
  made.answered(200);
  made.verdict({ status: "complete" });
  made.end(0, undefined);
}

Deno.test("RunTrace makes a span once somebody traces, and before that reads nothing for one", () => {
  const url = new CountedUrl("http://127.0.0.1:1/v1/embeddings");
  run(url);
  assertEquals(url.count, 0, "nobody traces");

  using spans = new MadeSpans();
  run(url);
  assertEquals(
    spans.all.map(({ name, isEnded }) => [name, isEnded]),
    [["embeddings", true]],
  );
  assertEquals(url.count, 1);
});
