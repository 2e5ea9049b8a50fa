import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type ChatOfTopic,
  chatTopic,
  chatTopicPattern,
} from "../../relay/chat_topic.ts";
import { Pattern } from "../../relay/rights/tokens/pattern.ts";
import { topicName } from "../../relay/topics/topic_name.ts";
import { propertyParameters } from "../support/property.ts";

const NAMES: readonly (readonly [ChatOfTopic, string])[] = [
  [{ chat: "app", id: "7" }, "app:7"],
  [{ chat: "app", user: "ada", id: "7" }, "app:ada:7"],
  [{ chat: "app", id: "ada:7" }, "app:ada~3A7"],
  [{ chat: "app", user: "auth0|1", id: "a/b c" }, "app:auth0~7C1:a~2Fb~20c"],
  [
    { chat: "app", user: "ada@example.com", id: ".." },
    "app:ada~40example.com:..",
  ],
  [{ chat: "app", user: "*", id: "~" }, "app:~2A:~7E"],
  [{ chat: "app", user: "é", id: "x" }, "app:~C3~A9:x"],
];

for (const [chat, name] of NAMES) {
  Deno.test(`chatTopic calls the topic of ${JSON.stringify(chat)} ${name}`, () => {
    assertEquals(chatTopic(chat), name);
  });
}

const LONG = "i".repeat(125);

for (
  const [chat, words] of [
    [{ chat: "app", id: "" }, "its id is empty"],
    [{ chat: "app", user: "", id: "7" }, "its user is empty"],
    [{ chat: "app", id: "\ud800" }, "its id is not Unicode"],
    [{ chat: "app", id: LONG }, "more than 128 characters"],
  ] as const
) {
  Deno.test(`chatTopic has no name where ${words}`, () => {
    assertThrows(() => chatTopic(chat), RangeError, words);
  });
}

const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 })
  .filter((text) => text.isWellFormed());

const chats = fc.record({
  chat: fc.constantFrom("app", "b"),
  user: fc.option(text, { nil: undefined }),
  id: text,
});

function nameOf(chat: ChatOfTopic): string | undefined {
  try {
    return chatTopic(chat);
  } catch {
    return undefined; // it is too long
  }
}

Deno.test("chatTopic gives two chats two names, which topics may have", () => {
  fc.assert(
    fc.property(chats, chats, (one, other) => {
      const names = [nameOf(one), nameOf(other)];
      for (const name of names) {
        if (name !== undefined) assert(topicName.safeParse(name).success);
      }
      const isSame = one.chat === other.chat && one.user === other.user &&
        one.id === other.id;
      if (names[0] !== undefined) assertEquals(names[0] === names[1], isSame);
    }),
    propertyParameters(200),
  );
});

Deno.test("chatTopicPattern is the pattern of one user's chats alone", () => {
  fc.assert(
    fc.property(text, chats, (user, other) => {
      const name = nameOf(other);
      if (name === undefined) return;
      const pattern = new Pattern(chatTopicPattern({ chat: "app", user }));
      assertEquals(
        pattern.matches(name),
        other.chat === "app" && other.user === user,
      );
    }),
    propertyParameters(200),
  );
});
