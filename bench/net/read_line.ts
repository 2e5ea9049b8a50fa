/** Reads a line of the standard input, and exits where that has ended. */
export function readLine(): string {
  const bytes = new Uint8Array(4096);
  let text = "";
  while (!text.includes("\n")) {
    const length = Deno.stdin.readSync(bytes);
    if (length === null) Deno.exit();
    text += new TextDecoder().decode(bytes.subarray(0, length));
  }
  return text;
}
