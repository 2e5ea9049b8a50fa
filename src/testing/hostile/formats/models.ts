// This module is browser compatible.
import { CREATED } from "../reproducible.ts";
import type { Dialect } from "../failure.ts";
import { jsonReply, type Reply } from "../reply.ts";

/** Any other name is taken too. */
const NAMES = ["hostile-1", "hostile-1-mini"];

/** `GET /v1/models` */
export function models(dialect: Dialect): Reply {
  const data = NAMES.map((name) => modelOf(dialect, name));
  return jsonReply(
    dialect === "anthropic"
      ? { data, has_more: false, first_id: NAMES[0], last_id: NAMES.at(-1) }
      : { object: "list", data },
  );
}

/** `GET /v1/models/{id}` */
export function model(dialect: Dialect, name: string): Reply {
  return jsonReply(modelOf(dialect, name));
}

function modelOf(dialect: Dialect, id: string) {
  return dialect === "anthropic"
    ? {
      type: "model",
      id,
      display_name: id,
      created_at: new Date(CREATED * 1_000).toISOString(),
    }
    : { id, object: "model", created: CREATED, owned_by: "rivulet" };
}
