import { FAULTY_AWS } from '../platform/faulty-aws-site.ts';
import { describePlatformUnderFaults } from '../platform/platform-under-faults.ts';

describePlatformUnderFaults(FAULTY_AWS);
