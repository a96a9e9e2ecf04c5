/** Bytes through the browser's own zlib streams. */

async function through(bytes: BufferSource, stream: GenericTransformStream): Promise<Uint8Array> {
  const writer = stream.writable.getWriter();
  // A fault of the data arrives at the reader, too; here it would only be reported as unhandled.
  writer.write(bytes).catch(() => undefined);
  writer.close().catch(() => undefined);
  return new Uint8Array(await new Response(stream.readable).arrayBuffer());
}

export function deflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return through(bytes, new CompressionStream("deflate"));
}

/** Inflate zlib data. @throws TypeError if the data is damaged or ends early. */
export function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return through(bytes, new DecompressionStream("deflate"));
}
