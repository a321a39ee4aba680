/** `npm run tidy`: prints each broken house rule as `path:line rule message`; exits 1 when there is one. */
import { readSourceFiles } from './source-files.ts'
import { checkTidy } from './tidy-check.ts'

const root = new URL('..', import.meta.url).pathname
const files = readSourceFiles(root)
const faults = checkTidy(files)
for (const { path, line, rule, message } of faults) console.error(`${path}:${line} ${rule}: ${message}`)
console.error(`tidy: ${files.length} files, ${faults.length} faults`)
// A check that read nothing must not pass: this very file is one of those it has to see.
if (faults.length > 0 || files.length === 0) process.exitCode = 1
