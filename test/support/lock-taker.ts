/** Tries to take a home's lock and says how that went: `node lock-taker.ts DIRECTORY`. A holder stays until killed. */
import { createSystemRandom } from '../../src/base/system-random.ts'
import { acquireHomeLock } from '../../src/program/home-lock.ts'

const directory = process.argv[2] ?? ''
process.stdin.once('data', () => {
  acquireHomeLock(directory, '', createSystemRandom()).then(
    () => process.stdout.write('held\n'),
    (error: unknown) => {
      process.stdout.write(
        `${error instanceof Error && 'code' in error ? String(error.code) : String(error)}\n`,
      )
      process.exit(0)
    },
  )
})
process.stdout.write('waiting\n')
setInterval(() => undefined, 1_000_000)
