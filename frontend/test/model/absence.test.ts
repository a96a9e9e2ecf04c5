import { describe, expect, it } from "vitest";
import { newlyAbsent } from "../../src/model/absence";

describe("an object that becomes absent", () => {
  it("is one that was not absent before", () => {
    const before = { absent: { 4: [1] } };
    expect(newlyAbsent(before, { absent: { 4: [1, 2], 5: [3] } }, 4)).toEqual([2]);
    expect(newlyAbsent(before, { absent: {} }, 4)).toEqual([]);
    expect(newlyAbsent({ absent: {} }, before, 4)).toEqual([1]);
  });
});
