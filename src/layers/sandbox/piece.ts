/**
 * Reading a part of an opened file.
 */
import type { FileHandle } from "node:fs/promises"

/** How much is read before the signal is looked at again, in bytes. */
const step = 1024 * 1024

/** The `length` bytes from `offset` on, or as many as there are. A signal that is aborted leaves out the rest. */
export const readPiece = async (
  handle: FileHandle,
  offset: number,
  length: number,
  signal: Pick<AbortSignal, "aborted"> = { aborted: false }
): Promise<Uint8Array> => {
  const bytes = new Uint8Array(length)
  let filled = 0
  while (filled < length && !signal.aborted) {
    const { bytesRead } = await handle.read(bytes, filled, Math.min(length - filled, step), offset + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}
