import { z } from "zod";

/** Accepts what is done if a topic has ended that is to be filled: a new epoch begins. */
export const ifEnded: z.ZodType<"renew"> = z.literal("renew", {
  message: "Expected 'renew'",
});
