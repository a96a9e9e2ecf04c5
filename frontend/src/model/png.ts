/**
 * Decode label maps: PNG with one channel (palette or grey) of 1, 2, 4 or 8 bits, not interlaced.
 *
 * The value of a pixel is its number in the file, never its colour: a canvas would give colours,
 * which some browsers alter on purpose.
 */
import { inflate } from "./deflate";

export interface LabelMap {
  width: number;
  height: number;
  /** One value per pixel, row by row. */
  data: Uint8Array<ArrayBuffer>;
}

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const LARGEST = 2 ** 27; // pixels

interface Header {
  width: number;
  height: number;
  depth: number;
}

/** Decode a label map. @throws Error if the file is not one of the kinds above, or damaged. */
export async function decodeLabels(file: Uint8Array<ArrayBuffer>): Promise<LabelMap> {
  if (SIGNATURE.some((byte, i) => file[i] !== byte)) throw new Error("not a PNG file");
  const { header, packed } = readChunks(file);
  const rows = await inflate(packed);
  const stride = Math.ceil((header.width * header.depth) / 8);
  if (rows.length < (stride + 1) * header.height) throw new Error("the PNG file ends early");
  const bytes = unfilter(rows, stride, header.height);
  const { width, height, depth } = header;
  return { width, height, data: depth === 8 ? bytes : unpack(bytes, header, stride) };
}

function readChunks(file: Uint8Array): { header: Header; packed: Uint8Array<ArrayBuffer> } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const parts: Uint8Array[] = [];
  let header: Header | null = null;
  for (let at = 8; at + 8 <= file.length; ) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...file.subarray(at + 4, at + 8));
    if (kind === "IHDR") header = readHeader(view, at + 8);
    if (kind === "IDAT") parts.push(file.subarray(at + 8, at + 8 + length));
    if (kind === "IEND") break;
    at += length + 12;
  }
  if (header === null) throw new Error("the PNG file has no header");
  return { header, packed: joined(parts) };
}

function readHeader(view: DataView, at: number): Header {
  const width = view.getUint32(at);
  const height = view.getUint32(at + 4);
  const [depth, colour, interlaced] = [8, 9, 12].map((i) => view.getUint8(at + i));
  if (width * height === 0 || width * height > LARGEST) throw new Error("bad size of a PNG file");
  if (colour !== 0 && colour !== 3) throw new Error("a label map must have one channel");
  if (![1, 2, 4, 8].includes(depth)) throw new Error(`a label map has 8 bits, not ${depth}`);
  if (interlaced !== 0) throw new Error("a label map must not be interlaced");
  return { width, height, depth };
}

function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Undo the filters of PNG (section 9.2) for pixels of at most one byte. */
function unfilter(rows: Uint8Array, stride: number, height: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const from = y * (stride + 1) + 1;
    const to = y * stride;
    out.set(rows.subarray(from, from + stride), to);
    const undo = FILTERS[rows[from - 1]];
    if (undo === undefined) throw new Error("the PNG file has an unknown filter");
    undo(out, to, stride, y > 0);
  }
  return out;
}

type Undo = (out: Uint8Array, at: number, stride: number, hasAbove: boolean) => void;

const FILTERS: Undo[] = [() => undefined, undoLeft, undoAbove, undoMean, undoPaeth];

function undoLeft(out: Uint8Array, at: number, stride: number): void {
  for (let i = at + 1; i < at + stride; i++) out[i] += out[i - 1];
}

function undoAbove(out: Uint8Array, at: number, stride: number, hasAbove: boolean): void {
  if (!hasAbove) return;
  for (let i = at; i < at + stride; i++) out[i] += out[i - stride];
}

function undoMean(out: Uint8Array, at: number, stride: number, hasAbove: boolean): void {
  let left = 0;
  for (let i = at; i < at + stride; i++) {
    const above = hasAbove ? out[i - stride] : 0;
    out[i] += (left + above) >> 1;
    left = out[i];
  }
}

function undoPaeth(out: Uint8Array, at: number, stride: number, hasAbove: boolean): void {
  let left = 0;
  let corner = 0;
  for (let i = at; i < at + stride; i++) {
    const above = hasAbove ? out[i - stride] : 0;
    out[i] += paeth(left, above, corner);
    left = out[i];
    corner = above;
  }
}

function paeth(left: number, above: number, corner: number): number {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

function unpack(bytes: Uint8Array, header: Header, stride: number): Uint8Array<ArrayBuffer> {
  const { width, height, depth } = header;
  const out = new Uint8Array(width * height);
  const perByte = 8 / depth;
  const mask = (1 << depth) - 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const byte = bytes[y * stride + Math.floor(x / perByte)];
      out[y * width + x] = (byte >> (8 - depth * ((x % perByte) + 1))) & mask;
    }
  }
  return out;
}
