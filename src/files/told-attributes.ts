/**
 * Extended attributes that a disk cannot hold (FAT, tmpfs of older kernels, a name unknown here) are kept as they were told:
 * that they are not there is no edit. A row says what was told, and what the disk had of it where that is less.
 */
import type { HeldAttributes } from './filesystem.ts'

export interface ToldAttributes {
  /** Undefined for none. */
  readonly attributes?: string | undefined
  /** What the disk has instead; undefined where it has these. */
  readonly heldAttributes?: string | undefined
}

/** What a file on the disk counts as. @param told of the row, else of what the document has there. */
export function judgeAttributes(found: HeldAttributes, told: ToldAttributes | undefined): ToldAttributes {
  const isAsLeft = told !== undefined && found === (told.heldAttributes ?? told.attributes ?? '')
  if (found === undefined || isAsLeft)
    return { attributes: told?.attributes, heldAttributes: told?.heldAttributes }
  return { attributes: found === '' ? undefined : found, heldAttributes: undefined }
}

/** After these were set. @param found what the disk has then. */
export const heldOf = (found: HeldAttributes, told: string | undefined): string | undefined =>
  found === (told ?? '') ? undefined : found
