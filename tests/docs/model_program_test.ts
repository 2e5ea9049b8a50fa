// The program in docs/model.md that asks a model runs against any server: here it
// does, with nothing changed but the line that says so.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";

const root = new URL("../../", import.meta.url);

Deno.test("The program in docs/model.md asks the provider that the environment names", async () => {
  const page = await Deno.readTextFile(new URL("docs/model.md", root));
  const program = page.split("```ts\n").map((rest) => rest.split("```")[0]!)
    .find((block) => block.includes("without this line it asks the provider"));
  assert(program !== undefined);
  const lines = program.split("\n").filter((line) =>
    !line.includes("fixture:")
  );

  const requests: { path: string; key: string | null; body: unknown }[] = [];
  const answer = await Deno.readFile(new URL("fixtures/demo.sse", root));
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      requests.push({
        path: new URL(request.url).pathname,
        key: request.headers.get("authorization"),
        body: await request.json(),
      });
      return new Response(answer, {
        headers: { "Content-Type": "text/event-stream" },
      });
    },
  );
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "-"],
    cwd: root,
    env: {
      OPENAI_BASE_URL: `http://127.0.0.1:${server.addr.port}/v1`,
      OPENAI_API_KEY: "key-of-the-test",
      NO_COLOR: "1",
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = process.stdin.getWriter();
  await input.write(new TextEncoder().encode(lines.join("\n")));
  await input.close();
  const { success, stdout, stderr } = await process.output();
  assertEquals(new TextDecoder().decode(stderr), "");
  assert(success);
  assertStringIncludes(new TextDecoder().decode(stdout), " tokens\n");
  assertEquals(requests.length, 1);
  assertEquals(requests[0]!.path, "/v1/responses");
  assertEquals(requests[0]!.key, "Bearer key-of-the-test");
});
