/**
 * What an image must be that goes into a history: a provider that cannot read it would refuse the history from then on.
 */

/** The most base64 characters of one image: 10 MB of bytes, above what providers take. */
export const maxImage = 14_000_000

/** The most base64 characters of all images of one input or result: 20 MB of bytes, with the text under 32 MB. */
export const maxImages = 28_000_000

/** What is wrong with an image, and which part of it. */
export interface ImageProblem {
  readonly field: "mediaType" | "data"
  readonly reason: string
}

/** What is wrong with an image, if anything, before what it holds is looked through. */
export const frameProblem = (mediaType: unknown, data: unknown): ImageProblem | undefined => {
  if (typeof mediaType !== "string" || !mediaTypes.test(mediaType)) {
    return { field: "mediaType", reason: "it is not the media type of an image" }
  }
  if (!beginnings.has(mediaType)) return { field: "mediaType", reason: "it is not one of png, jpeg, gif and webp" }
  return typeof data !== "string" || data.length > maxImage || data.length % 4 !== 0
    ? { field: "data", reason: `it is not base64 of at most ${maxImage} characters` }
    : undefined
}

/** What is wrong with what an image holds, if anything. */
export const bytesProblem = (mediaType: string, data: string): ImageProblem | undefined => {
  if (!base64.test(data)) return { field: "data", reason: "it is not base64" }
  return beginnings.get(mediaType)?.test(data) !== true
    ? { field: "data", reason: `it is not a picture of ${mediaType}` }
    : undefined
}

const mediaTypes = /^image\/[a-z0-9.+-]+$/
const base64 = /^[A-Za-z0-9+/]+={0,2}$/

/** How the formats that providers take begin, in base64; a history with another one would be refused from then on. */
const beginnings: ReadonlyMap<string, RegExp> = new Map([
  ["image/png", /^iVBORw0KGgo/],
  ["image/jpeg", /^\/9j\//],
  ["image/gif", /^R0lGOD[dl]h/],
  ["image/webp", /^UklGR.{6}XRUJQ/]
])
