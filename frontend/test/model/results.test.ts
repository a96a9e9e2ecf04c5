import { describe, expect, it } from "vitest";
import { clockText, durationText, frameAt, timesOf } from "../../src/model/clock";
import { reachOf } from "../../src/model/look";
import { Results } from "../../src/model/results";

const base64 = (array: ArrayBufferView) => Buffer.from(array.buffer).toString("base64");
const encoded = (area: number[], confidence: number[]) => ({
  area: base64(Int32Array.from(area)),
  confidence: base64(Float32Array.from(confidence)),
});

describe("results", () => {
  it("know the version of each frame's masks", () => {
    const results = new Results();
    results.reset(6, [
      [0, 2, "a"],
      [4, 4, "b"],
    ]);
    expect([0, 2, 3, 4, 5, 9].map((frame) => results.stampOf(frame))).toEqual([
      ...["a", "a", null, "b", null],
      null,
    ]);
    expect(results.done).toBe(4);
    expect([results.covers(0, 2), results.covers(0, 3)]).toEqual([true, false]);
  });

  it("take up areas and confidences of new frames", () => {
    const results = new Results();
    results.reset(5, []);
    results.update(1, 2, "a", { 3: encoded([10, 20], [0.5, 0.75]) });
    const track = results.tracks.get(3);
    expect([...(track?.area ?? [])]).toEqual([-1, 10, 20, -1, -1]);
    expect([...(track?.confidence ?? [])].slice(1, 3)).toEqual([0.5, 0.75]);
  });

  it("count an object as absent in new frames that do not name it", () => {
    const results = new Results();
    results.reset(3, []);
    results.update(0, 2, "a", { 1: encoded([5, 5, 5], [1, 1, 1]) });
    results.update(1, 1, "b", {});
    expect([...(results.tracks.get(1)?.area ?? [])]).toEqual([5, 0, 5]);
    results.update(1, 2, null, {});
    expect([...(results.tracks.get(1)?.area ?? [])]).toEqual([5, -1, -1]);
    expect(results.done).toBe(1);
  });
});

describe("times", () => {
  const video = { width: 1, height: 1, count: 4, first: 0, rate: null, times: null };

  it("of a folder of pictures are 24 to the second", () => {
    expect([...timesOf(video)]).toEqual([0, 1 / 24, 2 / 24, 3 / 24]);
  });

  it("of a video begin at 0", () => {
    const times = base64(Float64Array.of(2, 2.5, 3.5, 4));
    expect([...timesOf({ ...video, times })]).toEqual([0, 0.5, 1.5, 2]);
  });

  it("find the frame that is shown then", () => {
    const times = Float64Array.of(0, 0.5, 1.5, 2);
    expect([-1, 0, 0.49, 0.5, 1.49, 9].map((time) => frameAt(times, time))).toEqual([
      ...[0, 0, 0, 1, 1, 3],
    ]);
  });

  it("are shown in minutes, seconds and hundredths", () => {
    expect([clockText(4.92), clockText(64.999)]).toEqual(["0:04.92", "1:05.00"]);
    expect([durationText(44.2), durationText(3725)]).toEqual(["0:44", "1:02:05"]);
  });
});

describe("choices of the track menu", () => {
  const at = { frame: 10, outPoint: null, nextMark: 40, last: 30 };

  it("end where they say", () => {
    expect(reachOf("end", at)).toEqual({ direction: "forward" });
    expect(reachOf("next", at)).toEqual({ direction: "forward", until: 30 });
    expect(reachOf("mark", at)).toEqual({ direction: "forward", until: 40 });
    expect(reachOf("both", at)).toEqual({ direction: "both" });
  });

  it("are not there without a goal", () => {
    expect(reachOf("out", at)).toBeNull();
    expect(reachOf("mark", { ...at, nextMark: null })).toBeNull();
    expect(reachOf("out", { ...at, outPoint: 22 })).toEqual({ direction: "forward", until: 22 });
  });
});
