/** Measures any kind of call: one after the other, and many at once. */
import type { Answer } from './side.ts'

/** Sequential calls after a warm-up. @returns every round trip in microseconds. */
export async function measureLatency(call: () => Promise<void>, calls: number): Promise<Answer> {
  for (let index = 0; index < calls / 3; index++) await call()
  const samplesUs: number[] = []
  for (let index = 0; index < calls; index++) {
    const start = performance.now()
    await call()
    samplesUs.push((performance.now() - start) * 1000)
  }
  return { samplesUs }
}

/** Calls with `inFlight` always on the way. @returns calls finished per second. */
export async function measureThroughput(
  call: () => Promise<void>,
  inFlight: number,
  seconds: number,
): Promise<Answer> {
  const startMs = performance.now()
  const endMs = startMs + seconds * 1000
  let count = 0
  const worker = async (): Promise<void> => {
    while (performance.now() < endMs) {
      await call()
      count++
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return { perSecond: count / ((performance.now() - startMs) / 1000) }
}
