import { assertEquals } from "@std/assert";
import { readModule } from "../../.ci/structure/module.ts";

Deno.test("readModule finds every kind of import, with its line", () => {
  const { imports } = readModule(`import "./effect.ts";
import { a, type B, c as d } from "./named.ts";
import type { E } from "./type.ts";
import * as f from "./space.ts";
import g, { h } from "./default.ts";
import {
  i,
  j,
} from "./lines.ts";
export { k } from "./passage.ts";
export type { L } from "./passage_type.ts";
export * from "./star.ts";
const { m } = await import("./dynamic.ts");
type N = typeof import("./type_of.ts").n;
`);
  assertEquals(
    imports.map(({ line, specifier, names }) => [line, specifier, names])
      .toSorted(([a], [b]) => Number(a) - Number(b)),
    [
      [1, "./effect.ts", []],
      [2, "./named.ts", ["a", "B", "c"]],
      [3, "./type.ts", ["E"]],
      [4, "./space.ts", undefined],
      [5, "./default.ts", ["h", "default"]],
      [6, "./lines.ts", ["i", "j"]],
      [10, "./passage.ts", ["k"]],
      [11, "./passage_type.ts", ["L"]],
      [12, "./star.ts", undefined],
      [13, "./dynamic.ts", undefined],
      [14, "./type_of.ts", undefined],
    ],
  );
});

Deno.test("readModule finds every kind of export, with its line", () => {
  const { exports, passages, stars } = readModule(`export const a = 1;
export let b: number;
export async function c() {}
export function* d() {}
export class E {}
export abstract class F {}
export interface G {}
export type H = string;
export enum I {}
export declare const j: number;
export default 1;
export { k, l as m };
export { n, o as p } from "./passage.ts";
export * from "./star.ts";
export * as q from "./space.ts";
`);
  assertEquals(
    exports.map(({ line, name }) => [line, name])
      .toSorted(([a], [b]) => Number(a) - Number(b)),
    [
      [1, "a"],
      [2, "b"],
      [3, "c"],
      [4, "d"],
      [5, "E"],
      [6, "F"],
      [7, "G"],
      [8, "H"],
      [9, "I"],
      [10, "j"],
      [11, "default"],
      [12, "k"],
      [12, "m"],
      [15, "q"],
    ],
  );
  assertEquals(passages, [
    { name: "n", original: "n", line: 13, specifier: "./passage.ts" },
    { name: "p", original: "o", line: 13, specifier: "./passage.ts" },
  ]);
  assertEquals(stars, ["./star.ts"]);
});

Deno.test("readModule takes nothing for code that is in a comment or a text", () => {
  const { imports, exports } = readModule(`/*
import "./comment.ts";
export const comment = 1;
*/
// import("./remark.ts")
const template = \`
import "./template.ts";
export const template = 1;
\${"\`"}
\`;
const text = 'import("./text.ts")';
const quotes = [/["'\`]/, /[/"]\\/"/, 1 / 2];
export const after = \`\${1}\`;
import "./after.ts";
`);
  assertEquals(imports.map(({ specifier }) => specifier), ["./after.ts"]);
  assertEquals(exports.map(({ name }) => name), ["after"]);
});
