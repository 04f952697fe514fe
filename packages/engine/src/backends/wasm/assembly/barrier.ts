// Where threads meet between two ops. A short spin, since the others are usually microseconds away; then sleep, so that a
// thread without a core of its own gets one.
//
// Control block, from `control`: +12 arrived, +16 phase, +20 sleepers (see ../control.ts).

const SPINS: i32 = 15000;

export function barrier(control: usize, threads: i32): void {
  const phase = atomic.load<i32>(control, 16);
  if (atomic.add<i32>(control, 1, 12) == threads - 1) {
    atomic.store<i32>(control, 0, 12);
    atomic.add<i32>(control, 1, 16);
    if (atomic.load<i32>(control, 20) > 0) atomic.notify(control + 16, -1);
    return;
  }
  for (let i = 0; i < SPINS; i++) if (atomic.load<i32>(control, 16) != phase) return;
  atomic.add<i32>(control, 1, 20);
  while (atomic.load<i32>(control, 16) == phase) atomic.wait<i32>(control + 16, phase, 1000000);
  atomic.sub<i32>(control, 1, 20);
}
