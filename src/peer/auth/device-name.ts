/**
 * Names that people give to devices. A name is untrusted wherever it comes from another device: control,
 * bidirectional and invisible characters are refused here, at the edge, so that a name can never pass for another
 * line of a prompt. What shows one still escapes it (base/printable.ts).
 */
import type { Validator } from '../../base/codec.ts'
import { text } from '../../base/codec.ts'
import { SkeinError } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'

// Cc control, Cf format (bidi marks, zero width), Cs surrogate, Co private use, Zl and Zp line ends
const hidden = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u

/** True for 1..limits.nameBytes bytes, NFC, nothing hidden, no space at either end. */
export function isDeviceName(name: string): boolean {
  const sizeBytes = Buffer.byteLength(name)
  if (sizeBytes === 0 || sizeBytes > limits.nameBytes || !name.isWellFormed()) return false
  return !hidden.test(name) && name === name.normalize('NFC') && name === name.trim()
}

/** Validator of a name from outside. */
export const deviceName: Validator<string> = (value, path) => {
  const name = text(limits.nameBytes)(value, path)
  if (!isDeviceName(name)) throw new SkeinError('codec.invalid', `${path}: expected a device name`)
  return name
}
