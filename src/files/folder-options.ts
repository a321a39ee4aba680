/** How patient a folder is; every value has a default. */
import { type BrakeOptions, defaultBrake } from './safety.ts'

export interface FolderOptions {
  readonly brake?: BrakeOptions
  readonly deleteGraceMs?: number
  /** Hints within this belong to one round. */
  readonly coalesceMs?: number
  /** Everything is looked at again this often, whatever the watches said. */
  readonly sweepMs?: number
  /** A look at everything is followed by at least so many times its length of rest. */
  readonly sweepRestFactor?: number
  /** From so many new files at once on one note stands for the sync of each before it gets its name. */
  readonly noteFrom?: number
}

export const defaultFolderOptions: Required<FolderOptions> = {
  deleteGraceMs: 300,
  coalesceMs: 10,
  sweepMs: 600_000,
  sweepRestFactor: 400,
  brake: defaultBrake,
  noteFrom: 4,
}
