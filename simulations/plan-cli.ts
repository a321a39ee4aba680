/**
 * `npm run fuzz:plan -- [--cases N] [--seed S]`: the planner on random correlated trees, every property by its own checker. Even seeds
 * have devices that take a part only (plan-part.ts). A case that fails is cut short by fast-check and told, with the seed and path for plan/past-cases.ts.
 */
import fc from 'fast-check'
import { integer, readOptions } from './options.ts'
import { partCases, planCases } from './plan/case.ts'
import { checkPlanCase } from './plan/checks.ts'

const casesAtOnce = 20_000

const usage = `npm run fuzz:plan -- [options]

The planner on random trees of 2 to 5 devices, every property by its own checker. Exit code 1 when a case fails.

  --cases N   how many cases (100000)
  --seed S    the first seed; each is good for ${casesAtOnce} cases (1)
  --help      this text`

process.exitCode = await main()

async function main(): Promise<number> {
  const values = readOptions(usage, {
    cases: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '1' },
  })
  if (typeof values === 'number') return values
  const [cases = Number.NaN, firstSeed = Number.NaN] = [integer(values.cases), integer(values.seed)]
  if (Number.isNaN(cases + firstSeed)) {
    console.error(`usage: ${usage}`)
    return 2
  }
  Error.stackTraceLimit = 0
  const startCpu = process.cpuUsage()
  let done = 0
  for (let seed = firstSeed; done < cases; seed++) {
    const numRuns = Math.min(casesAtOnce, cases - done)
    let number = 0
    const arbitrary = seed % 2 === 0 ? partCases : planCases
    const property = fc.asyncProperty(arbitrary, (one) => checkPlanCase(one, number++))
    const result = await fc.check(property, { numRuns, seed })
    if (result.failed) {
      console.log(`seed ${seed}, path ${result.counterexamplePath}: ${String(result.errorInstance)}`)
      console.log(JSON.stringify(result.counterexample?.[0]))
      return 1
    }
    done += numRuns
  }
  const { user, system } = process.cpuUsage(startCpu)
  const seconds = (user + system) / 1e6
  console.log(`${cases} cases hold, ${(cases / seconds).toFixed(0)} a CPU second`)
  return 0
}
