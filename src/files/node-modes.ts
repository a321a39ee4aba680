/** Whether files of a real disk have an exec bit that can be set and taken away, tried on a file of our own. */
import * as fs from 'node:fs'
import { SkeinError } from '../base/errors.ts'
import type { ContainedRoot } from './contained-path.ts'
import { stagingFolder } from './names.ts'

/** @returns undefined while it cannot be tried: our folder is not there yet, or nothing can be written. */
export function probeModes(contained: ContainedRoot): boolean | undefined {
  if (process.platform === 'win32') return false
  try {
    return contained.within(`${stagingFolder}/modes`, (absolute) => {
      fs.rmSync(absolute, { force: true })
      const handle = fs.openSync(
        absolute,
        fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
        0o600,
      )
      try {
        return canHave(handle, 0o700) && canHave(handle, 0o600)
      } finally {
        fs.closeSync(handle)
        fs.unlinkSync(absolute)
      }
    })
  } catch (error) {
    if (error instanceof SkeinError || (error instanceof Error && 'code' in error)) return undefined
    throw error
  }
}

function canHave(handle: number, mode: number): boolean {
  try {
    fs.fchmodSync(handle, mode)
  } catch {
    // because: refused or ignored, what counts is what it has
  }
  return (fs.fstatSync(handle).mode & 0o100) === (mode & 0o100)
}
