import { deflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { decodeLabels } from "../../src/model/png";
import { randomFrom } from "../random";
import pillow from "./pillow.json";

const bytesOf = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

describe("files written by Pillow", () => {
  for (const [name, { file, width, height, values }] of Object.entries(pillow.readable)) {
    it(name, async () => {
      const labels = await decodeLabels(bytesOf(file));
      expect([labels.width, labels.height]).toEqual([width, height]);
      expect([...labels.data]).toEqual(values);
    });
  }

  it("refuses colours", async () => {
    await expect(decodeLabels(bytesOf(pillow.colour))).rejects.toThrow("one channel");
  });
});

/** The filters as PNG's section 9.2 defines them, forward, with bounds written out. */
function filtered(kind: number, row: number[], above: number[]): number[] {
  return row.map((value, i) => {
    const a = row[i - 1] ?? 0;
    const b = above[i] ?? 0;
    const c = i > 0 ? (above[i - 1] ?? 0) : 0;
    const p = a + b - c;
    const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)];
    const best = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
    return (value - [0, a, b, Math.floor((a + b) / 2), best][kind]) & 255;
  });
}

function chunk(kind: string, data: Uint8Array): number[] {
  const length = [24, 16, 8, 0].map((shift) => (data.length >> shift) & 255);
  return [...length, ...[...kind].map((c) => c.charCodeAt(0)), ...data, 0, 0, 0, 0];
}

function encoded(rows: number[][], kinds: number[], header: Partial<Record<number, number>> = {}) {
  const head = [0, 0, 0, rows[0].length, 0, 0, 0, rows.length, 8, 3, 0, 0, 0];
  for (const [i, value] of Object.entries(header)) head[Number(i)] = value as number;
  const body = rows.flatMap((row, y) => [kinds[y], ...filtered(kinds[y], row, rows[y - 1] ?? [])]);
  const packed = deflateSync(Uint8Array.from(body));
  const half = packed.length >> 1;
  return Uint8Array.from([
    ...[137, 80, 78, 71, 13, 10, 26, 10],
    ...chunk("IHDR", Uint8Array.from(head)),
    ...chunk("IDAT", packed.subarray(0, half)),
    ...chunk("IDAT", packed.subarray(half)),
    ...chunk("IEND", new Uint8Array()),
  ]);
}

describe("filters", () => {
  const random = randomFrom(3);
  const rows = Array.from({ length: 7 }, () =>
    Array.from({ length: 11 }, () => Math.floor(random() * 256)),
  );

  for (const kind of [0, 1, 2, 3, 4]) {
    it(`kind ${kind} in every row`, async () => {
      const labels = await decodeLabels(encoded(rows, Array(7).fill(kind)));
      expect([...labels.data]).toEqual(rows.flat());
    });
  }

  it("mixed", async () => {
    const labels = await decodeLabels(encoded(rows, [4, 3, 2, 1, 0, 4, 3]));
    expect([...labels.data]).toEqual(rows.flat());
  });
});

describe("damaged files", () => {
  const rows = [
    [1, 2],
    [3, 4],
  ];

  it("is no PNG", async () => {
    await expect(decodeLabels(new Uint8Array(50))).rejects.toThrow("not a PNG");
  });

  it.each([
    ["ends early", { 7: 9 }],
    ["bad size", { 0: 255, 4: 255 }],
    ["interlaced", { 12: 1 }],
    ["8 bits", { 8: 16 }],
  ])("%s", async (message, header) => {
    await expect(decodeLabels(encoded(rows, [0, 0], header))).rejects.toThrow(message);
  });

  it("has an unknown filter", async () => {
    const [first, ...others] = rows;
    const file = encoded([first, ...others], [0, 0]);
    const body = deflateSync(Uint8Array.from([0, 1, 2, 9, 3, 4]));
    const start = file.slice(0, 33);
    const whole = Uint8Array.from([
      ...start,
      ...chunk("IDAT", body),
      ...chunk("IEND", new Uint8Array()),
    ]);
    await expect(decodeLabels(whole)).rejects.toThrow("unknown filter");
  });
});
