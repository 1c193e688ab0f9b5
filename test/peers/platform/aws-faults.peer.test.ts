import { FAULTY_AWS } from './faulty-aws-site.ts';
import { describePlatformUnderFaults } from './platform-under-faults.ts';

describePlatformUnderFaults(FAULTY_AWS);
