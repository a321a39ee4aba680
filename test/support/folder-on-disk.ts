/** What stands in a shared folder, looked at from outside while peers work on it. */
import { readFile } from 'node:fs/promises'
import { until } from './skein.ts'

/** As latin1, so that any bytes compare; undefined when nothing is there. */
export const readIfThere = (path: string): Promise<string | undefined> =>
  readFile(path, 'latin1').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw error
  })

/** @param wanted undefined: that it goes. */
export const arrives = (path: string, wanted: string | undefined): Promise<unknown> =>
  until(`${path} is ${JSON.stringify(wanted)}`, async () => (await readIfThere(path)) === wanted)
