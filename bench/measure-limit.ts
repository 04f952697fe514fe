// The limit of the machine at this moment: a loop that only reads memory.
import { measureReadLimit, spreadOf } from '@marimba/engine/measure';
import { answer, readTask } from './children.ts';
import { watchOthers } from './timing.ts';

const { threads } = readTask<{ threads: number }>();
const busyElsewhere = watchOthers();
const { bytesPerSecond } = await measureReadLimit({ threads });
answer({ bytesPerSecond: spreadOf(bytesPerSecond).median, busyElsewhere: busyElsewhere() });
