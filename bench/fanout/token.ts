import { SignJWT } from "jose";

/** The key with which the secured relay verifies tokens. */
export const KEY = "a-key-of-the-benchmark-of-32-bytes-or-more";

/** A token for everything, for as long as any benchmark takes. */
export const TOKEN: string = await new SignJWT({
  rivulet: { read: ["*"], admin: true },
}).setProtectedHeader({ alg: "HS256" }).setSubject("bench").setAudience("bench")
  .setExpirationTime("7d").sign(new TextEncoder().encode(KEY));
