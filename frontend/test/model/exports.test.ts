/** What is asked for after a choice of exports and options. */
import { expect, test } from "vitest";
import {
  type ExportChoice,
  expectedBytes,
  grouped,
  isPossible,
  NOTHING,
  optionsFor,
  requestOptions,
  toggled,
  typedNumber,
} from "../../src/model/exports";
import type { ExportInfo, ExportOption, ObjectInfo, Project } from "../../src/model/protocol";

const option = (name: string, more: Partial<ExportOption> = {}): ExportOption => ({
  name,
  title: name,
  kind: "whole",
  choices: [],
  least: null,
  most: null,
  only: null,
  usual: 0,
  ...more,
});
const GROW = option("grow", { least: -100, most: 100 });
const RATE = option("rate", { kind: "number", least: 0.001, usual: 24, only: "frames" });
const SOUND = option("sound", { kind: "flag", usual: true, only: "video" });
const OBJECTS = option("objects", { kind: "objects", usual: null });
const EDGES = option("edges", {
  kind: "choice",
  usual: "hard",
  choices: [
    ["hard", "hard"],
    ["soft", "soft"],
  ],
});
const OPTIONS = [GROW, RATE, SOUND, OBJECTS, EDGES];
const EXPORTS: ExportInfo[] = [
  { name: "tracks", title: "tracks", group: "Masks", options: [], density: 1, bytes: null },
  {
    name: "overlay",
    title: "overlay",
    group: "To look at",
    options: ["rate", "sound"],
    density: 1,
    bytes: null,
  },
  { name: "rle", title: "rle", group: "Masks", options: [], density: 1, bytes: null },
  {
    name: "cutout:png",
    title: "PNG",
    group: "Cut-outs",
    options: ["objects", "edges", "grow"],
    density: 1,
    bytes: null,
  },
];
const OBJECT: ObjectInfo = { slot: 1, id: 1, name: "dog", colour: "#56b4e9", locked: false };
const TWO = [OBJECT, { ...OBJECT, slot: 2, id: 300 }];

const project = (times: string | null, probabilities = false) =>
  ({ video: { times }, probabilities }) as unknown as Project;
const names = (options: ExportOption[]) => options.map(({ name }) => name);
const choose = (more: Partial<ExportChoice>): ExportChoice => ({ ...NOTHING, ...more });

test("options are shown that a chosen export follows, for this kind of source", () => {
  const shown = (chosen: string[], times: string | null) =>
    names(optionsFor(EXPORTS, OPTIONS, new Set(chosen), project(times)));
  expect(shown([], "AAAA")).toEqual([]);
  expect(shown(["tracks"], "AAAA")).toEqual([]);
  expect(shown(["overlay"], "AAAA")).toEqual(["sound"]);
  expect(shown(["overlay"], null)).toEqual(["rate"]);
  expect(shown(["overlay", "cutout:png"], null)).toEqual(["grow", "rate", "objects", "edges"]);
});

test("soft edges are offered where the run keeps probabilities", () => {
  const edges = (probabilities: boolean) =>
    optionsFor(EXPORTS, [EDGES], new Set(["cutout:png"]), project(null, probabilities))[0].choices;
  expect(edges(false).map(([value]) => value)).toEqual(["hard"]);
  expect(edges(true).map(([value]) => value)).toEqual(["hard", "soft"]);
});

test("groups keep their order", () => {
  expect(grouped(EXPORTS).map(([group, of]) => [group, of.length])).toEqual([
    ["Masks", 2],
    ["To look at", 1],
    ["Cut-outs", 1],
  ]);
});

test("sizes grow with pixels and frames, where they are known", () => {
  const video = { width: 100, height: 50 };
  expect(expectedBytes({ ...EXPORTS[1], density: 0.5 }, video, 3)).toBe(7500);
  expect(expectedBytes({ ...EXPORTS[0], density: null }, video, 3)).toBeNull();
  expect(expectedBytes({ ...EXPORTS[0], density: null, bytes: 800 }, video, 3)).toBe(800);
});

test("values that are as usual, or that are not shown, are left out", () => {
  const choice = choose({ values: { grow: 2, sound: true, edges: "soft" } });
  expect(requestOptions(choice, [GROW, SOUND], TWO)).toEqual({ grow: 2 });
});

test("objects are all together, some together, or each alone", () => {
  const asked = (without: number[], each: boolean) =>
    requestOptions(choose({ without: new Set(without), each }), [OBJECTS], TWO);
  expect(asked([], false)).toEqual({});
  expect(asked([], true)).toEqual({ objects: "all" });
  expect(asked([1], false)).toEqual({ objects: "300", merged: true });
  expect(asked([1], true)).toEqual({ objects: "300" });
});

test("a request names an export and an object", () => {
  const overlay = new Set(["overlay"]);
  expect(isPossible(choose({ names: overlay }), TWO)).toBe(true);
  expect(isPossible(NOTHING, TWO)).toBe(false);
  expect(isPossible(choose({ names: overlay, without: new Set([1, 300]) }), TWO)).toBe(false);
});

test("numbers are taken within their limits", () => {
  expect(typedNumber(GROW, "-3")).toBe(-3);
  expect(typedNumber(RATE, "23.976")).toBe(23.976);
  for (const text of ["101", "1.5", "x", ""]) expect(typedNumber(GROW, text)).toBeUndefined();
  expect(typedNumber(option("start_number", { usual: null }), "")).toBeNull();
});

test("a set is made anew with or without a value", () => {
  const set = new Set([1]);
  expect([...toggled(set, 2, true)]).toEqual([1, 2]);
  expect([...toggled(set, 1, false)]).toEqual([]);
  expect([...set]).toEqual([1]);
});
