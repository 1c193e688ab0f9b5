import { FAULTY_AZURE } from './faulty-azure-site.ts';
import { describePlatformUnderFaults } from './platform-under-faults.ts';

describePlatformUnderFaults(FAULTY_AZURE);
