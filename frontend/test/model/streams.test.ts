import { inflateSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { float32Of, float64Of, int32Of } from "../../src/model/base64";
import { deflate, inflate } from "../../src/model/deflate";
import { linesOf, pauseAfter } from "../../src/model/events";

const base64 = (array: ArrayBufferView) => Buffer.from(array.buffer).toString("base64");

describe("deflate", () => {
  const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i >> 5) % 7);

  it("is zlib", async () => {
    expect([...inflateSync(await deflate(bytes))]).toEqual([...bytes]);
  });

  it("comes back", async () => {
    const packed = Uint8Array.from(await deflate(bytes));
    expect([...(await inflate(packed))]).toEqual([...bytes]);
  });

  it("rejects damaged data", async () => {
    await expect(inflate(Uint8Array.of(1, 2, 3, 4))).rejects.toThrow();
  });
});

describe("arrays in base64", () => {
  it("comes back", () => {
    expect([...int32Of(base64(Int32Array.of(1, -1, 70000)))]).toEqual([1, -1, 70000]);
    expect([...float64Of(base64(Float64Array.of(0.04, 1e9)))]).toEqual([0.04, 1e9]);
    expect([...float32Of(base64(Float32Array.of(0.5, Number.NaN)))]).toEqual([0.5, Number.NaN]);
  });
});

async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text);
}

describe("lines of events", () => {
  it("joins what arrives in pieces and waits for the end of a line", async () => {
    const events = [];
    const stream = chunks('{"type":"be', 'at"}\n\n{"type":"flags"}\n{"ty', 'pe":"hello"');
    for await (const event of linesOf(stream)) events.push(event.type);
    expect(events).toEqual(["beat", "flags"]);
  });

  it("keeps letters whole that are cut in the middle", async () => {
    const bytes = new TextEncoder().encode('{"type":"notice","level":"info","message":"é"}\n');
    async function* cut() {
      for (const byte of bytes) yield Uint8Array.of(byte);
    }
    for await (const event of linesOf(cut())) expect(event).toMatchObject({ message: "é" });
  });

  it("waits longer after each failure, up to 8 seconds", () => {
    expect([1, 2, 3, 4, 5, 6].map(pauseAfter)).toEqual([500, 1000, 2000, 4000, 8000, 8000]);
  });
});
