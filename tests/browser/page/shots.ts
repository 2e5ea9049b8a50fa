/**
 * Takes pictures of every view of the relay's page, light, dark and on a phone:
 * `deno task page:shots [FOLDER]` writes them to `artifacts/page/`, or the folder. Those of
 * the documentation are `docs/page/*.webp`: `deno task page:shots --docs`.
 *
 * @module
 */
import type { Page } from "playwright-core";
import { startChromium } from "../../support/client/chromium.ts";
import { PageTab } from "../../support/page/page_tab.ts";
import { startShowcase } from "../../support/page/showcase.ts";

const LOOKS = {
  light: { viewport: { width: 1_280, height: 800 }, colorScheme: "light" },
  dark: { viewport: { width: 1_280, height: 800 }, colorScheme: "dark" },
  phone: { viewport: { width: 360, height: 740 }, colorScheme: "light" },
} as const;

/** The pictures of the documentation: a view, in one look. */
const DOCUMENTED = [
  ["topics", "light"],
  ["answer", "dark"],
  ["relay", "light"],
] as const;

/** The size of a picture of the documentation. */
const SMALL = { width: 1_040, height: 620 };

/** Makes a WebP of a picture: a third of the PNG. */
async function webpOf(page: Page, png: Uint8Array): Promise<Uint8Array> {
  const url: unknown = await page.evaluate(`(async () => {
    const image = new Image();
    image.src = "data:image/png;base64,${png.toBase64()}";
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.width;
    canvas.height = image.height;
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", 0.86);
  })()`);
  return Uint8Array.fromBase64(String(url).replace(/^.*,/, ""));
}

const isDocumented = Deno.args.includes("--docs");
const [folder = isDocumented ? "docs/page" : "artifacts/page"] = Deno.args
  .filter((argument) => !argument.startsWith("--"));
await Deno.mkdir(folder, { recursive: true });
await using showcase = await startShowcase();
await using browser = await startChromium();
const wanted = Object.keys(LOOKS).flatMap((look) =>
  showcase.views.map(({ name }) => [name, look])
);
for (const [view, look] of isDocumented ? DOCUMENTED : wanted) {
  const found = showcase.views.find(({ name }) => name === view);
  const options = LOOKS[look as keyof typeof LOOKS]; // a key of it
  if (!found) continue;
  await using tab = await PageTab.open(browser, showcase.url, {
    ...options,
    ...isDocumented ? { viewport: SMALL } : {},
    hash: found.hash,
  });
  await tab.sees(found.ready);
  await found.prepare?.(tab);
  await tab.page.waitForTimeout(found.settles ?? 300);
  const png = await tab.page.screenshot();
  const path = `${folder}/${view}-${look}`;
  if (!isDocumented) {
    await Deno.writeFile(`${path}.png`, png);
    continue;
  }
  const blank = await browser.newPage();
  const picture = await webpOf(blank, png);
  await blank.close();
  await Deno.writeFile(`${folder}/${view}.webp`, picture);
  console.log(`${folder}/${view}.webp: ${picture.length} bytes`);
}
