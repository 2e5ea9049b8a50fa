/**
 * The recorded streams, which are not part of the repository.
 *
 * @module
 */

const FOLDER = new URL("../../../../shared/recordings/", import.meta.url);

function isThere(): boolean {
  try {
    return Deno.statSync(FOLDER).isDirectory;
  } catch {
    return false;
  }
}

/** Whether a test that needs the recordings is to be ignored; says so if it is. */
export function recordingsMissing(test: string): boolean {
  if (isThere() || Deno.env.get("RIVULET_REQUIRE_ALL") === "1") return false;
  console.log(
    `Ignored: "${test}" needs the recorded streams in ../shared/recordings, beside the repository`,
  );
  return true;
}

/** Every recording, by name. */
export async function readRecordings(): Promise<Map<string, Uint8Array>> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(FOLDER)) {
    if (name.endsWith(".sse")) names.push(name);
  }
  const recordings = new Map<string, Uint8Array>();
  for (const name of names.sort()) {
    recordings.set(name, await Deno.readFile(new URL(name, FOLDER)));
  }
  return recordings;
}
