// This module is browser compatible.
import { type Asked, RefusedError } from "../asked.ts";
import { CREATED } from "../reproducible.ts";
import { jsonReply, type Reply } from "../reply.ts";

/** `POST /v1/files`: says what came, with its SHA-256. */
export async function files({ headers, bytes }: Asked): Promise<Reply> {
  let form: FormData;
  try {
    form = await new Response(bytes, {
      headers: { "Content-Type": headers.get("Content-Type") ?? "" },
    }).formData();
  } catch {
    throw new RefusedError("Expected a body of multipart/form-data.");
  }
  const file = form.get("file");
  if (!(file instanceof File)) {
    throw new RefusedError("Missing required parameter: 'file'.");
  }
  const content = await file.arrayBuffer();
  const sha256 = hexOf(await crypto.subtle.digest("SHA-256", content));
  return jsonReply({
    id: `file-${sha256.slice(0, 24)}`,
    object: "file",
    bytes: content.byteLength,
    created_at: CREATED,
    expires_at: null,
    filename: file.name,
    purpose: form.get("purpose"),
    status: "processed",
    status_details: null,
    sha256,
  });
}

function hexOf(buffer: ArrayBuffer): string {
  return Array.from(
    new Uint8Array(buffer),
    (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");
}
