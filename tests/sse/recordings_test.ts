import { assert, assertEquals } from "@std/assert";
import {
  cutAt,
  parseBytes,
  parseText,
  randomFrom,
  randomPlaces,
  seed,
} from "./harness.ts";
import { referenceParse } from "./reference_parser.ts";

const folder = new URL("../../../shared/recordings/", import.meta.url);

function recordings(): string[] {
  try {
    return Array.from(Deno.readDirSync(folder), (entry) => entry.name)
      .filter((name) => name.endsWith(".sse")).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

const names = recordings();
if (names.length === 0) {
  console.log(
    `recordings_test.ts: ignored, as there are no recordings in ${folder.pathname}`,
  );
} else {
  console.log(`recordings_test.ts: RIVULET_SEED=${seed}`);
}

Deno.test({
  name: "readEvents() and SseParser parse every recording, however cut",
  ignore: names.length === 0,
  async fn() {
    const random = randomFrom(seed);
    let events = 0;
    for (const name of names) {
      const bytes = Deno.readFileSync(new URL(name, folder));
      const text = new TextDecoder().decode(bytes);
      const expected = referenceParse(text);
      events += expected.events.length;
      assertEquals(parseText([text]), expected, name);
      assertEquals(await parseBytes([bytes]), expected, name);
      for (const count of [1, 10, 300]) {
        const places = randomPlaces(bytes.length, count, random);
        const how = `${name}, RIVULET_SEED=${seed}, ${count} cuts`;
        assertEquals(await parseBytes(cutAt(bytes, places)), expected, how);
        const textPlaces = randomPlaces(text.length, count, random);
        assertEquals(parseText(cutAt(text, textPlaces)), expected, how);
      }
    }
    assert(events > names.length, `only ${events} events`);
  },
});
