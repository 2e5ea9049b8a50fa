import { assert, assertEquals } from "@std/assert";

Deno.test("hostile serves what its flags say, until it is interrupted", async () => {
  await using process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--allow-net", "--no-prompt", "relay/main.ts", "hostile"],
      ...["--port", "0", "--deltas", "3"],
    ],
    stdout: "piped",
  }).spawn();
  const lines = process.stdout.pipeThrough(new TextDecoderStream());
  let text = "";
  let answer = "";
  for await (const piece of lines) {
    text += piece;
    const [, url] = /on (http:\/\/\S+\/v1)\n.*stops it\.\n/s.exec(text) ?? [];
    if (url === undefined || answer !== "") continue;
    const response = await fetch(`${url}/responses`, {
      method: "POST",
      headers: { Authorization: "Bearer sk-of-the-test" },
      body: '{"model":"m","input":"word","stream":true}',
    });
    answer = await response.text();
    process.kill("SIGINT");
  }
  assertEquals((await process.status).code, 0);
  assertEquals(answer.match(/output_text\.delta\n/g)?.length, 3);
  assert(text.includes("POST /v1/responses"));
  assert(!text.includes("sk-of"));
});

Deno.test("hostile says what is wrong with its flags", async () => {
  for (
    const [args, message] of [
      [["--port", "x"], "--port: expected a port, got 'x'"],
      [["--plan", "x"], "'x' is no part of one"],
      [["--nonsense"], "--nonsense"],
    ] as const
  ) {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "relay/main.ts", "hostile", ...args],
    }).output();
    assertEquals(code, 2);
    const text = new TextDecoder().decode(stderr);
    assert(text.includes(message) && !text.includes("    at "), text);
  }
});
