/** Reads `seeds.txt`: seeds that found a bug once and are replayed for ever. */
import { readFileSync } from 'node:fs'

export interface PastSeed {
  readonly scenario: string
  readonly seed: number
  readonly reason: string
}

export function readPastSeeds(): readonly PastSeed[] {
  return readFileSync(new URL('seeds.txt', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => {
      const [scenario = '', seed = '', ...reason] = line.trim().split(/\s+/)
      if (scenario === '' || !/^\d+$/.test(seed)) throw new Error(`seeds.txt: not a seed: ${line}`)
      return { scenario, seed: Number(seed), reason: reason.join(' ') }
    })
}
