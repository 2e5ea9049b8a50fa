/**
 * Records a run of 40 events of 8 KiB into the folder that it is given, and
 * prints what is logged: to be run where there is no room for them.
 *
 * @module
 */
import { configure } from "@logtape/logtape";
import { Recorder } from "../../../relay/gateway/recording/recorder.ts";
import { systemClock } from "../../../src/fetch/clock.ts";
import { messages, recordedRun } from "./recorded_run.ts";

await configure({
  sinks: { stdout: ({ message }) => console.log(message.join("")) },
  loggers: [
    { category: "rivulet", sinks: ["stdout"] },
    { category: ["logtape", "meta"], lowestLevel: "error", sinks: [] },
  ],
});
await using recorder = new Recorder(Deno.args[0] ?? "", systemClock);
const recording = recorder.begin(recordedRun());
for (let i = 0; i < 40; i++) {
  recording.events(messages(`${i} ${"x".repeat(8 * 1024)}`));
  await new Promise((resolve) => setTimeout(resolve));
}
recording.end("complete");
