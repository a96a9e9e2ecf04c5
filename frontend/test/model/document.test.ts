import { describe, expect, it } from "vitest";
import * as doc from "../../src/model/document";
import type { DocumentInfo } from "../../src/model/protocol";

const EMPTY: DocumentInfo = {
  revision: 1,
  objects: [],
  prompts: {},
  absent: {},
  lost: {},
  ends: [],
  renames: [],
  outdated_from: null,
  undo: null,
  redo: null,
  next_slot: 1,
};

describe("marks", () => {
  const document = { ...EMPTY, prompts: { 0: [1, 2], 40: [1], 7: [2] }, absent: { 20: [1] } };

  it("are found by frame", () => {
    expect(doc.markedFrames(document, null)).toEqual([0, 7, 20, 40]);
    expect(doc.markedFrames(document, 1)).toEqual([0, 20, 40]);
    expect(doc.markedOn(document, 20)).toEqual([1]);
  });

  it("have neighbours", () => {
    expect(doc.nextOf([0, 7, 20], 7, 1)).toBe(20);
    expect(doc.nextOf([0, 7, 20], 7, -1)).toBe(0);
    expect(doc.nextOf([0, 7, 20], 20, 1)).toBeNull();
  });

  it("make an object known from the frame after the first mask", () => {
    expect(doc.knownBefore(document, 2, 0)).toBe(false);
    expect(doc.knownBefore(document, 2, 1)).toBe(true);
  });
});

describe("objects", () => {
  const named = { id: 300, slot: 2, name: "runner", colour: "#56b4e9", locked: false };
  const unnamed = { ...named, id: 7, slot: 1, name: "object 7" };

  it("have a title with their id once", () => {
    expect(doc.titleOf(named)).toBe("300 runner");
    expect(doc.titleOf(unnamed)).toBe("object 7");
  });

  it("change ids where they are swapped or merged", () => {
    const document: DocumentInfo = {
      ...EMPTY,
      objects: [unnamed, named],
      renames: [
        [4, "swap", [1, 2]],
        [9, "merge", [1, 2]],
      ],
    };
    expect(doc.changesOf(document, 4, 2)).toBe("7 and 300 swapped from here on");
    expect(doc.changesOf(document, 9, 1)).toBe("300 is part of 7 from here on");
    expect(doc.changesOf(document, 5, 1)).toBeNull();
  });
});

describe("compose", () => {
  const found = Uint8Array.of(1, 1, 2, 0, 3);

  it("shows what was found where nothing was marked", () => {
    expect([...doc.compose(found, null, [], 5)]).toEqual([1, 1, 2, 0, 3]);
  });

  it("shows a marked object's mark alone, above other objects", () => {
    const marks = Uint8Array.of(0, 1, 1, 1, 0);
    expect([...doc.compose(found, marks, [1], 5)]).toEqual([0, 1, 1, 1, 3]);
  });

  it("hides an object that was marked as absent", () => {
    expect([...doc.compose(found, null, [2], 5)]).toEqual([1, 1, 0, 0, 3]);
  });

  it("shows marks before anything was found", () => {
    expect([...doc.compose(null, Uint8Array.of(0, 4, 0, 0, 0), [4], 5)]).toEqual([0, 4, 0, 0, 0]);
  });

  it("keeps the pixels of chosen slots", () => {
    expect([...doc.only(found, [1, 3])]).toEqual([1, 1, 0, 0, 3]);
  });
});

describe("a mark taken up", () => {
  it("adds masks and keeps other slots", () => {
    const document = { ...EMPTY, prompts: { 5: [2] } };
    const { prompts } = doc.withMark(document, 5, [1], Uint8Array.of(0, 1, 2));
    expect(prompts).toEqual({ 5: [1, 2] });
  });

  it("is an absence if the object is known and has no pixel left", () => {
    const document = { ...EMPTY, prompts: { 0: [1], 5: [1] } };
    const taken = doc.withMark(document, 5, [1], Uint8Array.of(0, 0, 2));
    expect(taken).toEqual({ prompts: { 0: [1] }, absent: { 5: [1] } });
  });

  it("goes if the object begins on this frame", () => {
    const document = { ...EMPTY, prompts: { 5: [1] } };
    const taken = doc.withMark(document, 5, [1], Uint8Array.of(0, 0));
    expect(taken).toEqual({ prompts: {}, absent: {} });
  });
});
