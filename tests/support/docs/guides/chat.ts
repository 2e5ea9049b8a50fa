/**
 * Follows docs/chat.md: saves its files, types its commands, and tries in Chromium what its
 * list says.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import { startChromium } from "../../client/chromium.ts";
import { LIMIT } from "../../within.ts";
import { fromUrl } from "../../../../.ci/portable/paths.ts";
import { blocksOf } from "../markdown.ts";
import { commandsOf } from "../shell.ts";
import type { Online, Timed } from "./follow.ts";
import type { Reader } from "./reader.ts";

const ROOT = new URL("../../../../", import.meta.url);

/** The words before a file. */
const SAVE = /Save this as `([\w.]+)`/;

/** The part of the page that is followed; the rest is about an application of one's own. */
const PART = "## Try it from an empty folder";

/** The files that the guide has its reader save, by their names. */
function filesOf(text: string): Map<string, string> {
  const lines = text.split("\n");
  let from = 0;
  const files = new Map<string, string>();
  for (const { language, line, text } of blocksOf(lines.join("\n"))) {
    // `line` is that of the fence, and counts from 1.
    const [, name] = SAVE.exec(lines.slice(from, line - 1).join("\n")) ?? [];
    if (language === "text" && name !== undefined) files.set(name, text);
    from = line + text.split("\n").length;
  }
  return files;
}

/** Bundles the page of the guide, for which Deno asks the registry. */
export async function bundlePage(): Promise<Online> {
  const page = filesOf(await Deno.readTextFile(new URL("docs/chat.md", ROOT)))
    .get("page.jsx") ?? "";
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/page.jsx`, page);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--config", fromUrl(new URL("deno.json", ROOT))]
      .concat("--platform=browser", "-o", `${folder}/page.js`)
      .concat(`${folder}/page.jsx`),
    cwd: ROOT,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return {
    env: { RIVULET_GUIDE_BUNDLE: `${folder}/page.js` },
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** Follows the guide. */
export async function followChatGuide(
  reader: Reader,
  timed: Timed,
): Promise<void> {
  const { text } = reader;
  const start = text.indexOf(PART);
  const part = text.slice(start, text.indexOf("\n## ", start));
  for (const [name, file] of filesOf(part)) {
    await timed(`save ${name}`, () => reader.write(name, file));
  }
  for (const { language, text } of blocksOf(part)) {
    if (language !== "sh") continue;
    for (const command of commandsOf(text)) await type(reader, command, timed);
  }
  const [, url = ""] = /^Open <(http:\S+)> in two tabs/m.exec(part) ?? [];
  const [, words = ""] = /^1\. Send `([\w ]+)`/m.exec(part) ?? [];
  await tryInChromium(url, words, timed);
}

async function type(
  reader: Reader,
  command: string,
  timed: Timed,
): Promise<void> {
  // It needs a network; its packages are there.
  if (command.startsWith("deno add")) return;
  await timed(command, async () => {
    if (command.startsWith("deno run -A server.ts")) {
      await reader.start(command, /Listening on/);
    } else await reader.type(command);
  });
}

async function tryInChromium(
  url: string,
  words: string,
  timed: Timed,
): Promise<void> {
  await using browser = await startChromium();
  const context = await browser.newContext();
  const open = async (): Promise<Page> => {
    const page = await context.newPage();
    page.setDefaultTimeout(LIMIT);
    await page.goto(url);
    await page.waitForSelector("input");
    return page;
  };
  const shows = (page: Page, text: string) =>
    page.waitForFunction(
      `document.body.innerText.includes(${JSON.stringify(text)})`,
    );
  const some = words.split(" ").slice(0, 3).join(" ");
  const send = async (page: Page) => {
    await page.fill("input", words);
    await page.click("text=Send");
  };
  const [one, two] = await timed(
    "open two tabs",
    async () => [await open(), await open()],
  );
  await timed("1. send, and see it in both tabs", async () => {
    await send(one!);
    for (const page of [one!, two!]) {
      await shows(page, `user: ${words}`);
      await shows(page, `assistant: ${some}`);
    }
  });
  await timed("2. reload in the middle, and see all of it", async () => {
    await one!.reload();
    for (const page of [one!, two!]) {
      await shows(page, `assistant: ${words}`);
      await shows(page, "ready");
    }
  });
  await timed("3. send again, and stop in the other tab", async () => {
    await send(one!);
    const begun = `assistant: ${words}\n\nuser: ${words}\n\nassistant: ${some}`;
    for (const page of [one!, two!]) await shows(page, begun);
    await two!.click("text=Stop");
    for (const page of [one!, two!]) await shows(page, "ready");
    for (const page of [one!, two!]) {
      const text = await page.innerText("body");
      const answers = text.split("assistant: ").slice(1)
        .map((answer) => answer.split("\n")[0]);
      assertEquals(answers[0], words);
      assertEquals(
        answers[1] === words,
        false,
        "it was stopped before its end",
      );
    }
  });
}
