import { assert, assertEquals, assertThrows } from "@std/assert";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  environmentProxy,
  rememberVariables,
} from "../../../relay/upstream/environment_proxy.ts";
import { RelayCommand } from "../../support/relay/relay_command.ts";

const PROXY = "http://proxy.test:3128";

Deno.test("A proxy of the environment is used for the URLs that it is for", () => {
  const cases: readonly [string, Record<string, string>, boolean][] = [
    ["https://a.test/", {}, false],
    ["https://a.test/", { HTTPS_PROXY: PROXY }, true],
    ["https://a.test/", { https_proxy: PROXY }, true],
    ["http://a.test/", { HTTPS_PROXY: PROXY }, false],
    ["http://a.test/", { HTTP_PROXY: PROXY }, true],
    ["http://a.test/", { ALL_PROXY: PROXY }, true],
    ["https://a.test/", { HTTPS_PROXY: "" }, false],
    ["https://a.test/", { HTTPS_PROXY: PROXY, NO_PROXY: "*" }, false],
    [
      "https://a.test/",
      { HTTPS_PROXY: PROXY, NO_PROXY: "b.test, a.test" },
      false,
    ],
    ["https://x.a.test/", { HTTPS_PROXY: PROXY, NO_PROXY: ".a.test" }, false],
    ["https://xa.test/", { HTTPS_PROXY: PROXY, no_proxy: "a.test" }, true],
    [
      "http://127.0.0.1:1/",
      { HTTP_PROXY: PROXY, NO_PROXY: "127.0.0.1" },
      false,
    ],
    ["http://a.test:81/", { HTTP_PROXY: PROXY, NO_PROXY: "a.test:81" }, false],
    ["http://a.test:82/", { HTTP_PROXY: PROXY, NO_PROXY: "a.test:81" }, true],
    ["https://a.test/", { HTTPS_PROXY: PROXY, NO_PROXY: "a.test:443" }, false],
    ["http://[::1]/", { HTTP_PROXY: PROXY, NO_PROXY: "::1" }, false],
    ["http://10.1.2.3/", { HTTP_PROXY: PROXY, NO_PROXY: "10.0.0.0/8" }, false],
    ["http://11.1.2.3/", { HTTP_PROXY: PROXY, NO_PROXY: "10.0.0.0/8" }, true],
    ["http://10.1.2.3/", { HTTP_PROXY: PROXY, NO_PROXY: "fd00::/8,x/y" }, true],
    ["http://a.test/", { HTTP_PROXY: "proxy.test:3128" }, true],
  ];
  for (const [url, variables, expected] of cases) {
    const proxy = environmentProxy(new URL(url), (name) => variables[name]);
    assertEquals(
      proxy?.href,
      expected ? `${PROXY}/` : undefined,
      `${url} ${JSON.stringify(variables)}`,
    );
  }
});

Deno.test("A proxy of the environment that cannot be used is named, without its password", () => {
  const cases: readonly [string, string][] = [
    ["socks5://user:sesame@proxy.test", "HTTPS_PROXY: got one of socks5"],
    ["https://user:sesame@proxy.test", "HTTPS_PROXY: got one of https"],
    ["http://:sesame@", "HTTPS_PROXY is no URL"],
  ];
  for (const [value, message] of cases) {
    const error = assertThrows(
      () =>
        environmentProxy(
          new URL("https://a.test/"),
          (name) => name === "HTTPS_PROXY" ? value : undefined,
        ),
      TypeError,
      message,
    );
    assertEquals(error.message.includes("sesame"), false);
  }
});

Deno.test("A provider is asked through the proxy of the environment", async () => {
  const asked: (string | undefined)[] = [];
  const proxy = createServer(({ url }, response) => {
    asked.push(url);
    response.setHeader("content-type", "application/json");
    response.end('{"data":[]}');
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const { port } = proxy.address() as AddressInfo; // it listens on TCP
  {
    await using relay = await RelayCommand.start({
      args: ["--provider", "far=http://provider.test/v1"],
      env: { HTTP_PROXY: `http://127.0.0.1:${port}`, NO_PROXY: "" },
    });
    const response = await fetch(`${relay.url}/v1/models`);
    assertEquals(await response.json(), { data: [] });
  }
  assertEquals(asked, ["http://provider.test/v1/models"]);
  await new Promise<void>((resolve) => {
    proxy.close(() => resolve());
    proxy.closeAllConnections();
  });
  assert(!proxy.listening);
});

Deno.test("Each variable of the environment is read once", () => {
  const name = "RIVULET_TEST_REMEMBERED";
  const read = rememberVariables();
  try {
    assertEquals(read(name), undefined);
    Deno.env.set(name, "later");
    assertEquals(read(name), undefined);
    assertEquals(rememberVariables()(name), "later");
  } finally {
    Deno.env.delete(name);
  }
});
