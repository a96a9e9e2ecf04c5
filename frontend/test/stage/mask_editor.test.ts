import { describe, expect, it } from "vitest";
import { MaskEditor } from "../../src/stage/mask_editor";
import { randomFrom } from "../random";

const square = (left: number, top: number, side: number) => [
  { x: left, y: top },
  { x: left + side, y: top },
  { x: left + side, y: top + side },
  { x: left, y: top + side },
];

function editor(slots: Record<number, [number, number, number]> = {}): MaskEditor {
  const made = new MaskEditor(20, 10, new Uint8Array(200));
  for (const [slot, [left, top, side]] of Object.entries(slots)) {
    made.begin({ slot: Number(slot), erase: false }, []);
    made.polygon(square(left, top, side));
    made.finish();
  }
  return made;
}

describe("strokes", () => {
  it("paint the chosen object", () => {
    const made = editor({ 3: [2, 2, 4] });
    expect(made.areas()[3]).toBe(16);
    expect(made.at({ x: 2.5, y: 2.5 })).toBe(3);
    expect(made.at({ x: -1, y: 2 })).toBe(0);
  });

  it("take pixels from other objects and name both", () => {
    const made = editor({ 1: [0, 0, 6] });
    made.begin({ slot: 2, erase: false }, []);
    made.polygon(square(4, 0, 6));
    expect(made.finish().changed).toEqual([1, 2]);
    expect([made.areas()[1], made.areas()[2]]).toEqual([24, 36]);
  });

  it("leave locked objects alone", () => {
    const made = editor({ 1: [0, 0, 6] });
    made.begin({ slot: 2, erase: false }, [1]);
    made.polygon(square(4, 0, 6));
    expect(made.finish().changed).toEqual([2]);
    expect([made.areas()[1], made.areas()[2]]).toEqual([36, 24]);
  });

  it("erase the chosen object alone", () => {
    const made = editor({ 1: [0, 0, 6], 2: [6, 0, 6] });
    made.begin({ slot: 2, erase: true }, []);
    made.line({ x: 0, y: 3 }, { x: 20, y: 3 }, 20);
    expect(made.finish().changed).toEqual([2]);
    expect([made.areas()[1], made.areas()[2]]).toEqual([36, 0]);
  });

  it("name nothing if no pixel changed", () => {
    const made = editor({ 1: [0, 0, 6] });
    made.begin({ slot: 1, erase: false }, []);
    made.polygon(square(1, 1, 3));
    expect(made.finish()).toEqual({ changed: [], painted: true });
  });

  it("say that they painted nothing outside of the frame, or under a lock", () => {
    const made = editor({ 1: [0, 0, 6] });
    made.begin({ slot: 2, erase: false }, [1]);
    made.polygon(square(-9, -9, 3));
    made.polygon(square(1, 1, 3));
    expect(made.finish()).toEqual({ changed: [], painted: false });
  });

  it("clear an object", () => {
    const made = editor({ 1: [0, 0, 3], 2: [4, 0, 3] });
    made.begin({ slot: 1, erase: true }, []);
    made.clear();
    expect(made.finish().changed).toEqual([1]);
    expect(made.areas()[1]).toBe(0);
    expect(made.areas()[2]).toBe(9);
  });

  it("say that an object was taken away where it was not", () => {
    const made = editor({ 2: [4, 0, 3] });
    made.begin({ slot: 1, erase: true }, []);
    made.clear();
    expect(made.finish()).toEqual({ changed: [], painted: true });
  });

  it("need a beginning", () => {
    expect(() => editor().polygon(square(0, 0, 2))).toThrow("no stroke");
  });
});

describe("dropping a stroke", () => {
  it("brings back every byte, and says where", () => {
    const random = randomFrom(5);
    const made = editor({ 1: [0, 0, 6], 2: [8, 2, 7] });
    for (let turn = 0; turn < 50; turn++) {
      const before = [...made.labels];
      made.begin({ slot: 1 + (turn % 3), erase: turn % 4 === 0 }, turn % 5 === 0 ? [2] : []);
      const point = () => ({ x: random() * 24 - 2, y: random() * 14 - 2 });
      made.line(point(), point(), random() * 5);
      made.line(point(), point(), random() * 5);
      const after = [...made.labels];
      const rect = made.drop();
      expect([...made.labels]).toEqual(before);
      after.forEach((value, i) => {
        const [x, y] = [i % 20, Math.floor(i / 20)];
        if (value === before[i] || rect === null) return;
        expect(x >= rect.left && x < rect.right && y >= rect.top && y < rect.bottom).toBe(true);
      });
    }
  });

  it("is possible before anything was painted", () => {
    const made = editor();
    made.begin({ slot: 1, erase: false }, []);
    expect(made.drawing).toBe(true);
    expect(made.drop()).toBeNull();
    expect(made.drawing).toBe(false);
  });
});
