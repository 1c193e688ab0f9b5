import { FAULTY_GOOGLE } from '../platform/faulty-google-site.ts';
import { describePlatformUnderFaults } from '../platform/platform-under-faults.ts';

describePlatformUnderFaults(FAULTY_GOOGLE);
