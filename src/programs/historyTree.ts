/**
 * What happened in a session, as a tree to look at.
 */
export type * from "../services/HistoryTree.js"
export { draw, type DrawOptions } from "./historyTree/draw.js"
export { fold } from "./historyTree/fold.js"
export { historyTree } from "./historyTree/read.js"
