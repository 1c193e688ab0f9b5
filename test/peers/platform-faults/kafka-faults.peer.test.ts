import { FAULTY_KAFKA } from '../platform/faulty-kafka-site.ts';
import { describePlatformUnderFaults } from '../platform/platform-under-faults.ts';

describePlatformUnderFaults(FAULTY_KAFKA);
