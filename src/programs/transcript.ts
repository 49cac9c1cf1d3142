/**
 * A session as Markdown, for people.
 */
export type * from "../services/Transcript.js"
export { render, type Told } from "./transcript/render.js"
export { transcript } from "./transcript/read.js"
