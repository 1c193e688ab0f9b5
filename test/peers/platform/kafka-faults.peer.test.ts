import { FAULTY_KAFKA } from './faulty-kafka-site.ts';
import { describePlatformUnderFaults } from './platform-under-faults.ts';

describePlatformUnderFaults(FAULTY_KAFKA);
