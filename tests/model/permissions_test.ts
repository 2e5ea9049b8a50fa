import { assertEquals } from "@std/assert";
import { providers } from "../../src/model/mod.ts";

const FIXTURE = new URL("../../fixtures/demo.sse", import.meta.url).pathname;
const PROBE = new URL("./permissions_probe.ts", import.meta.url).pathname;

/** Every setting that is read, with a value that does harm. */
const ENVIRONMENT = {
  OPENAI_API_KEY: "sk-from-the-environment",
  OPENAI_BASE_URL: "nonsense",
  OPENAI_REQUEST_MAX_RETRIES: "many",
  OPENAI_STREAM_MAX_RETRIES: "many",
  OPENAI_STREAM_IDLE_TIMEOUT_MS: "long",
  RIVULET_SSE_FIXTURE: "nothing.sse",
};

/** Returns the output of the probe with these permissions and no others. */
async function probe(
  permissions: readonly string[],
  fixture = "",
  apiKey = "",
  env: Record<string, string> = ENVIRONMENT,
): Promise<string[]> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...permissions, PROBE, fixture, apiKey],
    env: { ...env, NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return [...text(stdout).split("\n"), ...text(stderr) ? [text(stderr)] : []];
}

Deno.test("ModelClient streams from a fixture without access to the environment", async () => {
  assertEquals(await probe([`--allow-read=${FIXTURE}`], FIXTURE), [
    "completed",
    "0",
  ]);
});

Deno.test("ModelClient asks with a key that is given without any permission", async () => {
  assertEquals(await probe([], "", "sk-given"), [
    "https://api.openai.com/v1/responses",
    "UnexpectedStatusError: unexpected status 404 Not Found: no more today",
    "1",
  ]);
});

Deno.test("ModelClient misses a key that it may not read", async () => {
  assertEquals(await probe([]), [
    `MissingKeyError: Missing environment variable: \`OPENAI_API_KEY\`. ${providers.openai.envKeyInstructions}`,
    "0",
  ]);
});

Deno.test("ModelClient needs leave to read no more than the key", async () => {
  assertEquals(await probe(["--allow-env=OPENAI_API_KEY"]), [
    "https://api.openai.com/v1/responses",
    "UnexpectedStatusError: unexpected status 404 Not Found: no more today",
    "1",
  ]);
});

Deno.test("ModelClient reads the settings that it may read", async () => {
  assertEquals(
    await probe(["--allow-env=OPENAI_API_KEY,OPENAI_BASE_URL"]),
    [
      "EnvironmentError: Cannot stream as the environment variable OPENAI_BASE_URL must be a URL of http or https",
      "0",
    ],
  );
  assertEquals(
    await probe(
      [
        `--allow-read=${FIXTURE}`,
        "--allow-env=RIVULET_SSE_FIXTURE",
      ],
      "",
      "",
      { ...ENVIRONMENT, RIVULET_SSE_FIXTURE: FIXTURE },
    ),
    ["completed", "0"],
  );
});

Deno.test("ModelClient says that it may not read a fixture", async () => {
  const [line, requests] = await probe([], FIXTURE);
  assertEquals(
    line?.startsWith(
      `FixtureError: Cannot stream from the fixture '${FIXTURE}': `,
    ),
    true,
  );
  assertEquals(requests, "0");
});
