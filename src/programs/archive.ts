/**
 * Sessions as lines of JSON: what one store holds, for another.
 */
export { exportSession } from "./archive/export.js"
export {
  type Imported,
  type ImportedSession,
  type ImportError,
  type ImportOptions,
  importSessions
} from "./archive/import.js"
