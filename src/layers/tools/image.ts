/**
 * Telling images from other files.
 */

/** The largest image that a model is shown, in bytes: in base64 it has 5 MB, which is what providers take. */
export const maxImage = 3_750_000

/** What kind of image a file is, by its first bytes; `undefined` for all that models are not shown. */
export const imageOf = (bytes: Uint8Array): { readonly mediaType: string } | undefined => {
  const kind = kinds.find(({ marks }) => marks.every(([at, mark]) => standsAt(bytes, at, mark)))
  return kind === undefined || !isNoText(bytes) ? undefined : { mediaType: kind.mediaType }
}

/** By RFC 2083, ITU-T T.81, the GIF89a specification and RFC 9649. */
const kinds: ReadonlyArray<{
  readonly mediaType: string
  readonly marks: ReadonlyArray<readonly [at: number, mark: string]>
}> = [
  { mediaType: "image/png", marks: [[0, "\x89PNG\r\n\x1a\n"]] },
  { mediaType: "image/jpeg", marks: [[0, "\xff\xd8\xff"]] },
  { mediaType: "image/gif", marks: [[0, "GIF87a"]] },
  { mediaType: "image/gif", marks: [[0, "GIF89a"]] },
  {
    mediaType: "image/webp",
    marks: [
      [0, "RIFF"],
      [8, "WEBP"]
    ]
  }
]

/** `mark` has a character for each byte. */
const standsAt = (bytes: Uint8Array, at: number, mark: string): boolean => {
  for (let index = 0; index < mark.length; index++) if (bytes[at + index] !== mark.charCodeAt(index)) return false
  return true
}

/** A text may begin with the letters of a mark; no image goes on without a byte that text does not have. */
const isNoText = (bytes: Uint8Array): boolean => bytes.subarray(0, 64).some((byte) => byte < 9 || byte >= 127)
