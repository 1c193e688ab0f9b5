import { FAULTY_GOOGLE } from './faulty-google-site.ts';
import { describePlatformUnderFaults } from './platform-under-faults.ts';

describePlatformUnderFaults(FAULTY_GOOGLE);
